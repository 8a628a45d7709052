if obj.metadata.annotations ~= nil then
  obj.metadata.annotations["evenkeel.dev/paused"] = nil
end
return obj
