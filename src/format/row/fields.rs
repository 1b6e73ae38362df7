//! What rows consist of: their fields in the order in which they are written, without names, and of variants the number first.
//!
//! This is what serde's derive makes of structs and enums, in the wire of bincode; but its five crates took a tenth of the time
//! that it takes to build this one.

/// Makes a row of the fields named, in this order; `as Hash` for those that are byte strings. Fields behind `skip` are no
/// part of it.
macro_rules! fields {
    ($name:ident { $($field:ident $(as $with:ident)?),* } $(skip { $($skipped:ident),* })?) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                ($($($with)? (&self.$field),)*).serialize(to)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                #[allow(unused_parens, reason = "they are for those that are hashes")]
                let ($($($with)? ($field),)*) = serde::Deserialize::deserialize(from)?;
                Ok($name { $($field,)* $($($skipped: Default::default(),)*)? })
            }
        }
    };
}

/// Makes a row of an enum: each variant with its number and its fields.
macro_rules! variants {
    ($name:ident { $($number:literal $variant:ident $({ $($field:ident),* })? $(($($part:ident),*))?),* }) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self {
                    $($name::$variant $({ $($field),* })? $(($($part),*))? => {
                        ($number, $($($field,)*)? $($($part,)*)?).serialize(to)
                    })*
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                struct Variants;
                impl<'de> serde::de::Visitor<'de> for Variants {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(stringify!($name))
                    }

                    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, from: A) -> Result<$name, A::Error> {
                        use serde::de::{Error, Unexpected, VariantAccess};
                        let (number, from): (u32, A::Variant) = from.variant()?;
                        match number {
                            $($number => {
                                let ($($($field,)*)? $($($part,)*)?) = from.newtype_variant()?;
                                Ok($name::$variant $({ $($field),* })? $(($($part),*))?)
                            })*
                            other => Err(A::Error::invalid_value(Unexpected::Unsigned(other.into()), &self)),
                        }
                    }
                }
                const NAMES: &[&str] = &[$(stringify!($variant)),*];
                from.deserialize_enum(stringify!($name), NAMES, Variants)
            }
        }
    };
}

pub(crate) use {fields, variants};
