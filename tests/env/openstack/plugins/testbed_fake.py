"""Nova's in-memory hypervisor with delays and faults that a test can order.

provision.sh copies this file to nova/virt/ in the virtual environment, because
nova only loads drivers from below its own nova.virt package.

What each call does is asked for in three places, the first match winning:

* the server's own metadata, so that a client needs no other access:
    fake.delay.<op> = seconds       fake.fault.<op> = kind[:message]
* the files <control_dir>/*.json in the order of their names, so that each
  test can have one of its own, and
* the control file; all are JSON and read at every call (write them beside and
  rename them):
    {"delay": {"spawn": 3, "*": 0.5,
               "power_off": {"name": "web-*", "seconds": 600}},
     "fault": {"spawn": {"name": "bad-*", "kind": "abort", "message": "m",
                         "host": "compute2"}},
     "power": {"web-1": "SHUTDOWN"}}

In place of one rule there may be a list of them. "name" is a pattern for the
server's name, "host" the hypervisor that makes the call; both may be absent.
A delay ordered in a file ends when the order is withdrawn, and a fault is
looked up when the delay is over: a call can be held, then let go or failed.

"power" (name or uuid of a server -> RUNNING, PAUSED, SHUTDOWN, CRASHED,
SUSPENDED or NOSTATE) is what the hypervisor reports when asked: a guest that
shut itself down, say.  It lasts until the entry is removed; nova notices at
its next power state sync.

<op> is one of: spawn destroy power_on power_off reboot pause unpause suspend
resume rescue unrescue snapshot migrate finish_migration confirm_migration
revert_migration.

kind is one of
  abort       the build fails at once, no other host is tried (spawn only)
  reschedule  this host refuses, nova tries another one (spawn only)
  error       a NovaException, as from a broken hypervisor
  python      an unexpected exception (a RuntimeError)
  vanish      the guest disappears from the hypervisor, the call "succeeds"
"""
import fnmatch
import glob
import inspect
import json
import os
import time

from oslo_config import cfg
from oslo_log import log as logging

from nova.compute import power_state
from nova.compute import vm_states
import nova.conf
from nova import exception
from nova.virt import fake
import nova.virt.node

LOG = logging.getLogger(__name__)
CONF = nova.conf.CONF
CONF.register_opts([
    cfg.StrOpt('control_file', help='JSON file that orders delays and faults'),
    cfg.StrOpt('control_dir', help='directory of more such files'),
    cfg.IntOpt('vcpus', default=64),
    cfg.IntOpt('memory_mb', default=131072),
    cfg.IntOpt('local_gb', default=4096),
], group='testbed_fake')

# vm_states in which the guest exists on its host.
_PRESENT = (vm_states.ACTIVE, vm_states.STOPPED, vm_states.PAUSED,
            vm_states.SUSPENDED, vm_states.RESCUED, vm_states.RESIZED,
            vm_states.SHELVED, vm_states.SOFT_DELETED)

_POWER = {name: number for number, name in (
    (0, 'NOSTATE'), (1, 'RUNNING'), (3, 'PAUSED'), (4, 'SHUTDOWN'),
    (6, 'CRASHED'), (7, 'SUSPENDED'))}


class TestbedDriver(fake.FakeDriver):

    capabilities = dict(fake.FakeDriver.capabilities,
                        supports_migrate_to_same_host=True)

    def __init__(self, virtapi, read_only=False):
        own = CONF.testbed_fake
        self.vcpus, self.memory_mb, self.local_gb = (
            own.vcpus, own.memory_mb, own.local_gb)
        super().__init__(virtapi, read_only)
        self._known = set()   # guests this process has created or taken over

    # -- identity that survives a restart ---------------------------------

    # The parent draws a new node uuid in each process; nova refuses to start
    # again without the one it left in <state_path>/compute_id.

    def get_available_resource(self, nodename):
        res = super().get_available_resource(nodename)
        if res:
            res['uuid'] = nova.virt.node.get_local_node_uuid()
        return res

    def get_nodenames_by_uuid(self, refresh=False):
        return {nova.virt.node.get_local_node_uuid(): self._host}

    # -- orders ------------------------------------------------------------

    def _controls(self):
        """The orders in force: a list of what the control files hold."""
        own, found = CONF.testbed_fake, []
        paths = sorted(glob.glob(os.path.join(own.control_dir, '*.json'))
                       ) if own.control_dir else []
        if own.control_file:
            paths.append(own.control_file)
        for path in paths:
            try:
                with open(path) as f:
                    content = json.load(f)
                if isinstance(content, dict):
                    found.append(content)
            except FileNotFoundError:
                pass
            except ValueError as e:
                LOG.warning('control file %s: %s', path, e)
        return found

    def _rule(self, kind, ops, instance):
        """The first rule of that kind that fits, as a dict, or None."""
        for control in self._controls():
            for op in ops:
                rules = control.get(kind, {}).get(op, [])
                for rule in rules if isinstance(rules, list) else [rules]:
                    if not isinstance(rule, dict):
                        rule = {'seconds': rule}
                    if fnmatch.fnmatchcase(
                            instance.display_name or '',
                            rule.get('name', '*')) and (
                            rule.get('host') in (None, CONF.host)):
                        return rule
        return None

    def _wait(self, op, instance):
        meta = instance.metadata or {}
        own = meta.get('fake.delay.' + op, meta.get('fake.delay'))
        if own is not None:
            return time.sleep(max(0, float(own)))
        start = time.monotonic()
        while True:
            rule = self._rule('delay', (op, '*'), instance) or {}
            left = start + float(rule.get('seconds', 0)) - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.2))

    def _fault(self, op, instance):
        text = (instance.metadata or {}).get('fake.fault.' + op)
        if text:
            kind, _, message = text.partition(':')
            return kind, message
        rule = self._rule('fault', (op,), instance)
        if rule is None:
            return None, None
        return rule.get('kind', 'error'), rule.get('message')

    def _act(self, op, instance):
        """Sleep and fail as ordered; True if the guest is to vanish."""
        self._adopt(instance)
        self._wait(op, instance)
        kind, message = self._fault(op, instance)
        message = message or 'testbed: %s was ordered to fail' % op
        if kind == 'abort':
            raise exception.BuildAbortException(
                instance_uuid=instance.uuid, reason=message)
        if kind == 'reschedule':
            raise exception.ComputeResourcesUnavailable(reason=message)
        if kind == 'error':
            raise exception.NovaException(message)
        if kind == 'python':
            raise RuntimeError(message)
        return kind == 'vanish'

    def _vanish(self, instance):
        self.instances.pop(instance.uuid, None)

    def _set(self, instance, state):
        if instance.uuid not in self.instances:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        self.instances[instance.uuid].state = state

    def _adopt(self, instance):
        """Take over a guest that an earlier nova-compute process ran."""
        if instance.uuid in self._known:
            return
        self._known.add(instance.uuid)
        if (instance.uuid not in self.instances and
                instance.host == self._host and
                instance.vm_state in _PRESENT and
                instance.power_state not in (None, power_state.NOSTATE)):
            self.instances[instance.uuid] = fake.FakeInstance(
                instance.name, instance.power_state, instance.uuid)

    # -- the hypervisor ----------------------------------------------------

    def get_info(self, instance, use_cache=True):
        self._adopt(instance)
        wanted = None
        for control in self._controls():
            power = control.get('power', {})
            wanted = wanted or power.get(
                instance.uuid, power.get(instance.display_name))
        if wanted and instance.uuid in self.instances:
            self.instances[instance.uuid].state = _POWER[wanted]
        return super().get_info(instance, use_cache)

    def spawn(self, context, instance, *args, **kwargs):
        self._act('spawn', instance)
        self._known.add(instance.uuid)
        super().spawn(context, instance, *args, **kwargs)

    def destroy(self, context, instance, *args, **kwargs):
        self._act('destroy', instance)
        super().destroy(context, instance, *args, **kwargs)

    def power_on(self, context, instance, *args, **kwargs):
        gone = self._act('power_on', instance)
        super().power_on(context, instance, *args, **kwargs)
        if gone:
            self._vanish(instance)

    def power_off(self, instance, *args, **kwargs):
        gone = self._act('power_off', instance)
        super().power_off(instance, *args, **kwargs)
        if gone:
            self._vanish(instance)

    def reboot(self, context, instance, *args, **kwargs):
        gone = self._act('reboot', instance)
        if instance.uuid in self.instances:
            self._set(instance, power_state.RUNNING)
        else:
            super().reboot(context, instance, *args, **kwargs)
        if gone:
            self._vanish(instance)

    def pause(self, instance):
        self._act('pause', instance)
        self._set(instance, power_state.PAUSED)

    def unpause(self, instance):
        self._act('unpause', instance)
        self._set(instance, power_state.RUNNING)

    def suspend(self, context, instance):
        self._act('suspend', instance)
        self._set(instance, power_state.SUSPENDED)

    def resume(self, context, instance, *args, **kwargs):
        self._act('resume', instance)
        self._set(instance, power_state.RUNNING)

    def rescue(self, context, instance, *args, **kwargs):
        self._act('rescue', instance)
        self._set(instance, power_state.RUNNING)

    def unrescue(self, context, instance):
        self._act('unrescue', instance)
        self._set(instance, power_state.RUNNING)

    def snapshot(self, context, instance, image_id, update_task_state):
        self._act('snapshot', instance)
        super().snapshot(context, instance, image_id, update_task_state)

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
        self._act('migrate', instance)
        if instance.uuid in self.instances:
            self._set(instance, power_state.SHUTDOWN)
        return super().migrate_disk_and_power_off(
            context, instance, *args, **kwargs)

    def finish_migration(self, context, migration, instance, *args, **kwargs):
        self._act('finish_migration', instance)
        # not through the parent: it reuses spawn(), whose orders differ
        call = inspect.signature(fake.FakeDriver.finish_migration).bind(
            self, context, migration, instance, *args, **kwargs)
        self._known.add(instance.uuid)
        self.instances[instance.uuid] = fake.FakeInstance(
            instance.name,
            power_state.RUNNING if call.arguments.get('power_on', True)
            else power_state.SHUTDOWN,
            instance.uuid)

    def confirm_migration(self, context, migration, instance, network_info):
        self._act('confirm_migration', instance)
        if migration.source_compute != migration.dest_compute:
            self._vanish(instance)

    def finish_revert_migration(self, context, instance, *args, **kwargs):
        self._act('revert_migration', instance)
        self._known.add(instance.uuid)
        super().finish_revert_migration(context, instance, *args, **kwargs)
