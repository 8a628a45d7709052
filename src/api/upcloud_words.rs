//! The words that `Server.spec.upcloud` is written in.

use super::choice::choice;

choice! {
    /// Where a disk comes from.
    UpCloudDiskAction {
        /// An empty disk of the given size.
        Create,
        /// A copy of another storage, or of the template in spec.image.
        Clone,
        /// An existing storage.
        Attach,
    }
}

choice! {
    /// Classes of storage.
    UpCloudTier {
        /// Fast.
        MaxIops,
        /// In between.
        Standard,
        /// Slow and cheap.
        Hdd,
    }
}

choice! {
    /// Kinds of networks that an interface can join.
    UpCloudNetworkType {
        /// The internet.
        Public,
        /// The account's own network over all zones.
        Utility,
        /// A private network.
        Private,
    }
}

choice! {
    /// Families of addresses.
    UpCloudAddressFamily = IPv4 {
        /// 32 bits.
        IPv4,
        /// 128 bits; on public interfaces only.
        IPv6,
    }
}

choice! {
    /// Devices to boot from.
    UpCloudBootDevice {
        /// The boot disk.
        Disk,
        /// The CD-ROM.
        Cdrom,
        /// A bootable interface.
        Network,
    }
}

choice! {
    /// Models of network interfaces.
    UpCloudNicModel {
        /// For guests without virtio drivers; slower.
        E1000,
        /// The fast one.
        Virtio,
        /// For old guests; slower.
        Rtl8139,
    }
}

choice! {
    /// Models of graphics cards.
    UpCloudVideoModel {
        /// The usual one.
        Vga,
        /// For old guests.
        Cirrus,
    }
}

choice! {
    /// Protocols of the remote console.
    UpCloudRemoteAccess {
        /// VNC.
        Vnc,
    }
}
