//! The words that `Server.spec` is written in.

use super::choice::choice;

choice! {
    /// The kinds that a providerConfigRef may name.
    ProviderConfigKind {
        /// A ProviderConfig of the same namespace.
        ProviderConfig,
    }
}

choice! {
    /// How much of a server's life is managed.
    ManagementPolicy = Full {
        /// Everything.
        Full,
        /// Its power only: it is never created, resized, rebuilt or deleted.
        PowerOnly,
        /// Nothing is ever written to the cloud, not even a mark.
        Observe,
    }
}

choice! {
    /// A power state that can be wished for.
    PowerWish {
        /// The guest runs.
        Running,
        /// The guest is powered off; healthy, and on purpose.
        Stopped,
        /// Frozen, its state in memory.
        Paused,
        /// Its state on disk, memory freed.
        Suspended,
        /// Taken off its host.
        Shelved,
        /// Power is left as it is.
        Unmanaged,
    }
}

choice! {
    /// How a server is powered off.
    PowerOffMode = SoftThenHard {
        /// The guest is asked, and nothing more.
        Soft,
        /// The power is cut.
        Hard,
        /// The guest is asked; where that takes too long, the power is cut.
        SoftThenHard,
    }
}

choice! {
    /// What a change from outside gets.
    DriftPolicy = Enforce {
        /// Running and Stopped are put back; anything else by somebody else is shown and held.
        Enforce,
        /// Every power state is put back.
        EnforceAll,
        /// A stop from outside is left alone until the wish changes.
        RespectStop,
        /// Only shown.
        Observe,
    }
}

choice! {
    /// When a changed size is carried out.
    ResizeWhen = WhenStopped {
        /// When the server is stopped anyway.
        WhenStopped,
        /// At once: the server is stopped for it and started again.
        StopIfNeeded,
        /// Not until a ServerAction (resize: {}) or another value of this says so.
        Manual,
    }
}

choice! {
    /// Who confirms a resize on clouds that ask.
    ResizeConfirm = Auto {
        /// At once.
        Auto,
        /// After the time in soak.
        AfterSoak,
        /// A person: by a ServerAction (confirmResize: {} or revertResize: {}), by setting spec.size back, or in the cloud.
        Manual,
    }
}

choice! {
    /// What follows a resize that failed.
    ResizeOnFailure = Revert {
        /// Back to the size and power before it, by one try: a hard reboot, or a stop of what is to stand still.
        Revert,
        /// Left as it is, for a person to look at.
        Hold,
    }
}

choice! {
    /// When a changed image is installed.
    RebuildWhen = Never {
        /// Never: that spec.image differs is only shown.
        Never,
        /// As soon as the text of spec.image is another one. THE ROOT DISK IS ERASED, on OpenStack also the
        /// ephemeral and swap disks of the size; attached volumes stay.
        OnImageChange,
    }
}

choice! {
    /// After our own creation ended in an error.
    OnCreateError = Retry {
        /// The failed server is deleted by its id, and another one made, slower each time.
        Retry,
        /// Left as it is, for a person to look at.
        Hold,
    }
}

choice! {
    /// A server that ran and is in an error state.
    OnError = Hold {
        /// Left as it is, for a person to look at.
        Hold,
        /// One hard reboot; one stop where it is to be Stopped, and rescue mode once where spec.rescue is given, if the cloud
        /// does that in an error.
        HardReboot,
    }
}

choice! {
    /// A server that is gone although nobody deleted this object.
    OnMissing = Fail {
        /// Shown; nothing is made.
        Fail,
        /// Made again, once its absence is confirmed. One that the cloud still keeps after its deletion is restored instead.
        Recreate,
    }
}

choice! {
    /// What becomes of the cloud server.
    DeletionPolicy {
        /// It is deleted.
        Delete,
        /// It stays, without our marks.
        Orphan,
    }
}
