//! The closed set of condition and event reasons, each with what it means and what to do.

macro_rules! reasons {
    ($($name:ident: $meaning:literal => $advice:literal),+ $(,)?) => {
        /// Why a condition is as it is. Closed and documented: `docs/reference.md` lists them all.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $meaning] $name),+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word in conditions and events.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),+ }
            }

            /// What a person can do; empty where nothing need be done.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice),+ }
            }
        }

        impl std::fmt::Display for Reason {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    // Ready and at rest.
    AsDeclared: "The server is as declared." => "",
    Synced: "This aspect is as declared." => "",
    NotStalled: "Nothing waits for a person." => "",
    Idle: "Nothing is under way." => "",
    // Under way.
    Creating: "The server is being created." => "",
    WaitingForObservation: "The account is being listed before anything is decided." => "",
    WaitingForAttempt: "An earlier attempt to create may still produce a server; it is waited out." => "",
    Starting: "The server is being started." => "",
    Stopping: "The server is being stopped." => "",
    Restarting: "The server is being restarted." => "",
    Pausing: "The guest is being frozen in memory." => "",
    Suspending: "The guest's memory is being written to disk." => "",
    Shelving: "The server is being taken off its host; its disks are kept." => "",
    Resizing: "The size is being changed." => "",
    Confirming: "The new size is being confirmed." => "",
    Reverting: "The old size is being restored." => "",
    Restoring: "The server is being brought out of a state that is not wished for." => "",
    Deleting: "The server is being deleted." => "",
    Marking: "Our marks are being written or taken off." => "",
    Rescuing: "The server is being put into rescue mode." => "",
    Locking: "The server is being locked, as declared." => "",
    Unlocking: "Our lock is being taken off, for a step of ours or because it is not declared any more." => "",
    Rebuilding: "The server is being installed anew from the changed image." => "",
    Modifying: "Settings are being changed in place." => "",
    Cancelling: "The cloud is asked to cancel what it is doing." => "",
    RetryingStep: "The cloud is asked to try again the step in which it gave up." => "",
    RemovingParts: "What belonged to the server is being deleted." => "",
    WaitingForGroup: "The server waits for its ServerGroup: to be made, to be joined, or for its turn in it." =>
        "Look at the ServerGroup that the message names.",
    Joining: "Servers are being added to the group." => "",
    Leaving: "Servers are being taken out of the group." => "",
    WaitingForTurn: "As many servers of the account are taken down as may be at once; this one waits for its turn." =>
        "Wait, or raise spec.maxConcurrentDisruptions of the ProviderConfig.",
    WaitingForCloud: "The cloud is busy with this server." =>
        "Wait: the cloud ends it, or who began it there. What takes too long is told as OperationTimeout.",
    Acting: "The deed of a ServerAction is under way." => "",
    WaitingForServer: "The deed waits for its Server: to exist, to have a server in the cloud, or to be at rest." =>
        "Look at the Server; what is not begun by the deadline is given up.",
    WaitingForAction: "An earlier ServerAction of the same Server comes first." => "",
    Recovering: "Something failed and is being tried again." => "Nothing; the message has the cloud's words.",
    CreateFailed: "The creation failed and is tried again." =>
        "Cure the cause that the message names (quota, capacity, image); no edit is needed.",
    // Waits by policy.
    PendingPowerOff: "The new size waits for the server to be stopped (resize.when: WhenStopped)." =>
        "Stop the server, or set spec.resize.when to StopIfNeeded.",
    PendingApproval: "The new size waits for a word of yours (resize.when: Manual)." =>
        "Make a ServerAction with resize: {}, or set spec.resize.when to WhenStopped or StopIfNeeded.",
    AwaitingConfirm: "The cloud waits for the new size to be confirmed or reverted." =>
        "Make a ServerAction with confirmResize: {} or revertResize: {}; setting spec.size back reverts it too.",
    Soaking: "The new size is being watched before it is confirmed." => "",
    ResizeFailed: "The size could not be changed, or was taken back; the last good one is kept." =>
        "Set spec.size back to the size that is kept, or choose another one; to try it again, set the annotation evenkeel.dev/retry to a new value.",
    SizeDrift: "The size was changed from outside." =>
        "Set spec.size to the size that is there; to have another one, set it to that afterwards.",
    SettingsDrift: "A setting was changed from outside." =>
        "Nothing is put back: change it in the cloud, or change its text in the spec.",
    RestartFailed: "The cloud reports that the restart failed." =>
        "Read the cloud's words in the message; a new spec.restart.token asks for another restart.",
    SettingsRefused: "The cloud refuses a changed setting; the last good one is kept." =>
        "Correct the spec as the message says, or set the annotation evenkeel.dev/retry to a new value.",
    NotApplied: "A changed setting counts only when a server is made; this one keeps what it was made with." =>
        "Set it back, or make a new server; nothing is made again by itself.",
    PowerDrift: "The power state was changed from outside." =>
        "End it in the cloud, set spec.powerState to what is wanted, or have it put back: spec.driftPolicy Enforce does so with what runs or is stopped, EnforceAll with every state.",
    LockDrift: "Our lock was taken off from outside." => "Drop spec.locked, or set spec.driftPolicy to Enforce; a lock that is put there by hand is somebody else's.",
    ImageDrift: "spec.image was changed after the server was made." =>
        "Set it back, or let it be installed: spec.rebuild.when: OnImageChange ERASES THE ROOT DISK, and on OpenStack the ephemeral and swap disks of the size.",
    ImagePending: "A changed image waits for a state of the server in which the cloud installs it." =>
        "Wish Running or Stopped, or set spec.image back.",
    InRescue: "This is held for as long as spec.rescue is given." => "Drop spec.rescue.",
    RescueFailed: "The server could not be put into rescue mode." =>
        "Read the message; correct spec.rescue.image, drop spec.rescue, or set the annotation evenkeel.dev/retry to a new value.",
    RebuildFailed: "The changed image could not be installed." =>
        "Read the message; choose another image, set it back, or set the annotation evenkeel.dev/retry to a new value.",
    StopRespected: "The server was stopped from outside and is left alone (driftPolicy: RespectStop)." =>
        "Wish Stopped, and Running again, to start it; or set spec.driftPolicy to Enforce.",
    Unmanaged: "The power state is left as it is." => "",
    NoDrift: "Nothing was changed from outside." => "",
    Paused: "The annotation evenkeel.dev/paused stops all writes to the cloud." => "Remove the annotation.",
    Suspended: "The ProviderConfig is suspended: nothing is written to the cloud." =>
        "Set spec.suspend of the ProviderConfig to false.",
    Observing: "managementPolicy Observe: nothing is ever written to the cloud." => "",
    // A person is needed.
    Unsupported: "The cloud cannot do what is wished for." => "Change the spec; the message says what is possible.",
    StopTimeout: "The server did not stop in time." =>
        "Look at the guest; set spec.powerOff.timeout or mode, or stop it in the cloud.",
    OperationTimeout: "The cloud did not finish an operation in time." =>
        "Look at the server in the cloud; it is looked at again and again.",
    ServerError: "The cloud reports the server in an error state." =>
        "Read the message; cure it in the cloud, set spec.onError, or delete the object.",
    ErrorStillRunning: "The cloud reports the server in an error state, and says that its guest still runs." =>
        "If it works, let an administrator say so: a ServerAction with resetState: {to: Active}. Else restart it: reboot: {mode: Hard}, or spec.onError: HardReboot.",
    CreateHeld: "The creation failed and is held (onCreateError: Hold)." =>
        "Read the message; then set spec.onCreateError to Retry, or delete the object.",
    UnknownOperation: "Another version of the controller recorded an operation that this one does not know." =>
        "Let that version finish it; after its deadline it is forgotten.",
    UnknownState: "The cloud reports a state that is not known; nothing is done in it." =>
        "Look at the server in the cloud.",
    Missing: "The cloud says that the server is gone." =>
        "Set spec.onMissing to Recreate to make a new one, or delete the object.",
    SoftDeleted: "The server was deleted in the cloud, which keeps it for a while before it destroys it." =>
        "Restore it in the cloud, or set spec.onMissing to Recreate to have it restored; or delete the object.",
    NotFound: "No server with the id in spec.import exists in this account." => "Correct the id, in a new object.",
    OwnedByOther: "Another living object, or another installation, manages this server." =>
        "Delete one of the two objects, or give the controller its former installation id; the message says which.",
    AmbiguousCreate: "Several servers carry the mark of this object; none is touched." =>
        "Set spec.import.id to the one to keep, and delete the others in the cloud; of an object that is being deleted, delete all but one.",
    PreviousIncarnation: "A server of an earlier object with this name exists." =>
        "Take it over with spec.import.id, or allow a new one with the annotation evenkeel.dev/create-anyway.",
    Locked: "The server is locked in the cloud by somebody else." => "Unlock it in the cloud.",
    Immutable: "The cloud cannot change this on what exists." =>
        "Set it back, or make a new object; nothing is made again by itself.",
    GroupProviderMismatch: "The ServerGroup that the server names lives in another ProviderConfig." =>
        "Name a ServerGroup with the same providerConfigRef.",
    Flapping: "The power state was put back four times in ten minutes; somebody else changes it." =>
        "Find out who, then set the annotation evenkeel.dev/retry to a new value.",
    InvalidSpec: "The cloud refuses the spec." => "Correct the spec as the message says.",
    QuotaExceeded: "The account's quota is used up." => "Free or raise quota; it is tried again by itself.",
    NoCapacity: "The cloud has no room." => "Wait, or choose another size or zone; it is tried again by itself.",
    Forbidden: "The credential may not do this." => "Give its user the role that the message names.",
    SecretRefused: "A Secret that the spec names is missing, lacks its key or the label evenkeel.dev/allow, or cannot be written." =>
        "Correct the Secret, or what the message names; it is tried again by itself.",
    // The account.
    ProviderConfigNotFound: "The ProviderConfig does not exist." => "Create it.",
    CredentialsMissing: "The Secret with the credentials is missing, lacks its key, or may not be read." =>
        "Create or correct the Secret, or let the controller read it.",
    CredentialsInvalid: "The cloud refuses the credentials." => "Correct the Secret; it is read again within 30 s.",
    EndpointRefused: "An endpoint is not https, or is an address of the host itself or of the cluster." =>
        "Use a https endpoint outside of the cluster's own host.",
    AccountChanged: "The credentials are those of another account than before, or of another region." =>
        "Put the old account's credentials back, or make a new ProviderConfig.",
    MassAbsence: "The lists of the account suddenly lack so many recorded servers that none of them is believed to be gone." =>
        "If the lists have a hole, wait until the cloud has mended it. If the servers are gone, set the annotation \
         evenkeel.dev/retry of each Server (kubectl annotate servers, with -l or --all) to a new value: it is asked for by id, \
         and its absence is believed then.",
    Unreachable: "The cloud cannot be reached." => "Nothing, if it is a passing fault; the message has the details.",
    RateLimited: "The cloud asks to be asked less." => "Lower spec.requests of the ProviderConfig.",
    Connecting: "The account is being reached for the first time." => "",
    Reachable: "The account was reached." => "",
    Valid: "The credentials are accepted." => "",
    // Deletion.
    DeletionProtected: "spec.deletionProtection is true." => "Set it to false to let the deletion go on.",
    DeletionWaits: "The deletion waits for something." => "The message says for what.",
    GroupHasMembers: "The group has members in the cloud." =>
        "Delete the Servers that the message names, or set spec.deletionPolicy to Orphan.",
    Orphaned: "The server stays in the cloud, without our marks." => "",
    Abandoned: "The object goes without the cloud being asked; the server is left." => "Delete the server in the cloud.",
    // Deeds.
    Succeeded: "The deed was done." => "",
    DeedFailed: "The cloud accepted the deed, and it failed." =>
        "Read the cloud's words in the message; make another ServerAction to try again.",
    DeedRefused: "The cloud refused the deed; nothing was done." =>
        "Correct what the message names, and make another ServerAction.",
    NotAllowed: "The deed cannot be done to the server as it is; the cloud was not asked." =>
        "Bring the server into one of the states that the message names, and make another ServerAction.",
    Overtaken: "The deed was let through, and the spec was changed before it was done." =>
        "Read in the message what is declared now; make another ServerAction for that, if one is needed.",
    SwitchedOff: "This installation does not do the deed; the cloud was not asked, or its answer was thrown away." =>
        "Let who runs the controller switch it on and grant the right that the message names, and make another ServerAction.",
    OutcomeUnknown: "Whether the deed was done cannot be known; it is not repeated." =>
        "Look at the server in the cloud; make another ServerAction to do it again.",
    AlreadyRun: "A ServerAction of this name and spec was carried out before; it is not done again." =>
        "Look at status.actions of the Server for what came of it; give the ServerAction another name to do it again.",
    DeadlineExceeded: "The deed was not done within spec.deadline." =>
        "Read in the message what it waited for; make another ServerAction.",
    ServerDeleted: "The Server is being deleted, or is gone." => "",
    ServerMismatch: "The Server has another uid than spec.serverRef.uid." => "Make another ServerAction for the Server that is there.",
    // Events.
    PlacementMet: "Every member is placed as the policy says." => "",
    PlacementUnmet: "A member is not placed as the policy says." => "Make room, and move the server that the message names.",
    PlacementUnknown: "The cloud does not say how the members are placed." => "",
    PowerWishExempt: "The group's power wish changed; disruption.maxUnavailable does not hold it back." => "",
    PartsKept: "Something that belonged to the server stays in the cloud and may be billed." =>
        "Delete it in the cloud if it is not wanted; spec.deletion decides next time.",
    PartDeleted: "A disk, a backup or an address that belonged to the server was deleted." => "",
    CredentialsLost: "What the cloud told once, as it created the server, was lost." =>
        "Reset the password in the guest or on its console; or delete the object and make it again.",
    CredentialsNotTold: "The cloud told no password as it created the server." =>
        "Log in with the keys or the password that the spec gives to the server.",
    CredentialsSaved: "What the cloud told once, as it created the server, was written to its Secret." => "",
    Created: "A server was created." => "",
    Adopted: "A server that carries this object's mark, or the imported one, was recorded." => "",
    Deleted: "The server is gone." => "",
    ReclaimPending: "The server was deleted; the cloud keeps it for a while, and may bill it, before it destroys it." =>
        "Nothing; spec.deletion.force has the cloud delete the next one at once.",
    Restored: "A server that was deleted in the cloud was brought back." => "",
    Started: "The server was started." => "",
    Stopped: "The server was stopped." => "",
    PowerReached: "The server was brought into the declared power state." => "",
    Restarted: "The server was restarted." => "",
    RestartUnverified: "Whether the restart happened cannot be known; it is not repeated." => "Set a new token to restart again.",
    Resized: "The size was changed." => "",
    Rebuilt: "The server was installed anew from the changed image." => "",
    Modified: "Settings were changed in place." => "",
    DriftCorrected: "A change from outside was put back." => "",
    DeletedWithoutPowerOff: "The server was deleted although it did not stop in time." => "",
    Refused: "The cloud refused a call." => "The message has its words.",
}
