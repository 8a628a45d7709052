//! `docs/reference.md`, written from the types.
