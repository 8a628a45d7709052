//! Enums whose words are their variants' names. `else` names what any other word is read as; it is never written.

macro_rules! choice {
    ($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $vdoc:literal])* $variant:ident),+ $(,)?
    } $(else $(#[doc = $odoc:literal])* $other:ident)?) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[doc = $vdoc])* $variant),+ $(, $(#[doc = $odoc])* #[serde(other)] $other)? }

        impl $name {
            /// Every value, in the order of the schema.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in manifests.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant)),+
                    $(, Self::$other => stringify!($other))?
                }
            }

            /// What the word means: its doc comment.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($vdoc),*).trim()),+
                    $(, Self::$other => concat!($($odoc),*).trim())?
                }
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
