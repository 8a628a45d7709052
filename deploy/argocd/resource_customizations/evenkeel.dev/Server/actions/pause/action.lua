-- From now on nothing is written to the cloud for this object.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["evenkeel.dev/paused"] = "true"
return obj
