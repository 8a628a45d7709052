//! The provider against a real cloud.
