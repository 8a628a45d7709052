//! Enums whose words are their variants' names.

macro_rules! choice {
    ($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $vdoc:literal])* $variant:ident),+ $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[doc = $vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of the schema.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in manifests.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// What the word means: its doc comment.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($vdoc),*).trim()),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        // Inline and without the variants' comments, so that a field keeps the description that it was given.
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!($($doc),*).trim(),
                    "enum": [$(stringify!($variant)),+],
                })
            }
        }
    };
    ($(#[doc = $doc:literal])* $name:ident = $default:ident { $($body:tt)* }) => {
        choice!($(#[doc = $doc])* $name { $($body)* });

        impl Default for $name {
            fn default() -> Self { Self::$default }
        }
    };
}
pub(crate) use choice;
