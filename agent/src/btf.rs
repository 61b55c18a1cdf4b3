//! Where a kernel keeps the fields of its structures, by its own BPF Type Format.
//!
//! Reads what offsets need and refuses the rest. Our own, because the crates that read BTF build a
//! tree of every type: 62 MB for a kernel's 5.5 MB, measured, where this keeps 4 bytes a type.
//! Format: Documentation/bpf/btf.rst of the kernel.

use abi::settings::Offset;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::reader::Reader;

const MAGIC: u16 = 0xeb9f;
/// Structures within structures that are looked through for a field.
const MAX_DEPTH: u32 = 8;

/// `enum` of include/uapi/linux/btf.h; only what offsets need has a name.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const ENUM64: u32 = 19;
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BtfError {
    #[error("not BTF: the magic number is wrong")]
    Magic,
    #[error("BTF header or sections are cut short")]
    Short,
}

#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    magic: u16,
    version: u8,
    flags: u8,
    header_len: u32,
    types_offset: u32,
    types_len: u32,
    strings_offset: u32,
    strings_len: u32,
}

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Type {
    name: u32,
    /// `vlen` in bits 0–15, kind in bits 24–28, `kind_flag` in bit 31.
    info: u32,
    size_or_type: u32,
}

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Member {
    name: u32,
    member_type: u32,
    /// Bits; where `kind_flag` is set the upper 8 are the size of a bit-field.
    offset: u32,
}

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Enumerator {
    name: u32,
    value: u32,
}

impl Type {
    fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    fn vlen(self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Bytes that follow the type itself.
    fn trailing_bytes(self) -> usize {
        match self.kind() {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => self.vlen() * 12,
            kind::ENUM | kind::FUNC_PROTO => self.vlen() * 8,
            _ => 0,
        }
    }
}

pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where type `index + 1` begins in `types`.
    starts: Vec<u32>,
}

impl<'a> Btf<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let header: Header = Reader::new(bytes).value().ok_or(BtfError::Short)?;
        if header.magic != MAGIC {
            return Err(BtfError::Magic);
        }
        let section = |offset: u32, len: u32| {
            let start = (header.header_len as usize).checked_add(offset as usize)?;
            bytes.get(start..start.checked_add(len as usize)?)
        };
        let types = section(header.types_offset, header.types_len).ok_or(BtfError::Short)?;
        let strings = section(header.strings_offset, header.strings_len).ok_or(BtfError::Short)?;
        let mut starts = Vec::new();
        let mut reader = Reader::new(types);
        while !reader.is_empty() {
            let start = types.len() - reader.rest().len();
            starts.push(u32::try_from(start).unwrap_or(u32::MAX));
            let each: Type = reader.value().ok_or(BtfError::Short)?;
            reader.take(each.trailing_bytes()).ok_or(BtfError::Short)?;
        }
        Ok(Self { types, strings, starts })
    }

    /// The structure or union called `name`.
    pub fn structure(&self, name: &str) -> Option<u32> {
        self.find(name, &[kind::STRUCT, kind::UNION])
    }

    /// The function called `name`.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.find(name, &[kind::FUNC])
    }

    /// The enumeration called `name`.
    pub fn enumeration(&self, name: &str) -> Option<u32> {
        self.find(name, &[kind::ENUM])
    }

    /// What one of its enumerators stands for.
    pub fn value_of(&self, enumeration: u32, enumerator: &str) -> Option<u32> {
        let (each, rest) = self.at(enumeration)?;
        let values = rest.get(..each.trailing_bytes())?.chunks_exact(8);
        let value = |one| Reader::new(one).value::<Enumerator>();
        values
            .filter_map(value)
            .find(|one| self.is_named(one.name, enumerator))
            .map(|one| one.value)
    }

    fn find(&self, name: &str, kinds: &[u32]) -> Option<u32> {
        (1..=u32::try_from(self.starts.len()).unwrap_or(u32::MAX)).find(|id| {
            self.at(*id).is_some_and(|(each, _)| {
                kinds.contains(&each.kind()) && self.is_named(each.name, name)
            })
        })
    }

    /// `sizeof` the structure.
    pub fn size_of(&self, id: u32) -> Option<u32> {
        self.at(id).map(|(each, _)| each.size_or_type)
    }

    /// How many arguments the function has.
    pub fn arguments_of(&self, function: u32) -> Option<u32> {
        let (function, _) = self.at(function)?;
        let (prototype, _) = self.at(function.size_or_type)?;
        (prototype.kind() == kind::FUNC_PROTO).then_some(prototype.info & 0xffff)
    }

    /// `offsetof(structure, path)`, where path is fields with dots between them. Fields of unnamed
    /// members count as the structure's own, as in C. A bit-field has no offset.
    pub fn offset_of(&self, id: u32, path: &str) -> Offset {
        let mut at = (id, 0);
        for field in path.split('.') {
            match self.field(at.0, field, MAX_DEPTH) {
                Some((member_type, bits)) => at = (member_type, at.1 + u64::from(bits)),
                None => return Offset::ABSENT,
            }
        }
        match u32::try_from(at.1 / 8) {
            Ok(bytes) if at.1 % 8 == 0 => Offset(bytes),
            _ => Offset::ABSENT,
        }
    }

    /// Type and bit offset of a field.
    fn field(&self, id: u32, field: &str, depth: u32) -> Option<(u32, u32)> {
        let (structure, members) = self.members(id)?;
        let bits = |member: Member| match structure.info >> 31 {
            0 => member.offset,
            _ => member.offset & 0x00ff_ffff,
        };
        members.clone().find(|member| self.is_named(member.name, field)).map_or_else(
            || {
                members.filter(|member| member.name == 0).find_map(|member| {
                    let (found, inner) =
                        self.field(member.member_type, field, depth.checked_sub(1)?)?;
                    Some((found, bits(member).checked_add(inner)?))
                })
            },
            |member| Some((member.member_type, bits(member))),
        )
    }

    fn members(&self, id: u32) -> Option<(Type, impl Iterator<Item = Member> + Clone + use<'a>)> {
        let mut id = id;
        for _ in 0..MAX_DEPTH {
            let (each, rest) = self.at(id)?;
            match each.kind() {
                kind::STRUCT | kind::UNION => {
                    let members = rest.get(..each.trailing_bytes())?.chunks_exact(12);
                    return Some((each, members.filter_map(|one| Reader::new(one).value())));
                }
                kind::TYPEDEF | kind::CONST | kind::VOLATILE => id = each.size_or_type,
                _ => return None,
            }
        }
        None
    }

    fn at(&self, id: u32) -> Option<(Type, &'a [u8])> {
        let start = *self.starts.get(id.checked_sub(1)? as usize)?;
        let mut reader = Reader::new(self.types.get(start as usize..)?);
        Some((reader.value()?, reader.rest()))
    }

    fn is_named(&self, offset: u32, name: &str) -> bool {
        self.strings
            .get(offset as usize..)
            .and_then(|rest| rest.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int a; union { struct { int b; }; } ; struct outer *c; }` and
    /// `enum outer { a = 3, b = 7 }` by hand.
    fn sample() -> Vec<u8> {
        let strings = b"\0outer\0a\0b\0";
        let mut types: Vec<u32> = vec![0, 1 << 24, 4, 32]; // 1: int
        types.extend([0, (4 << 24) | 1, 4, 9, 1, 0]); // 2: struct { int b; }
        types.extend([0, (5 << 24) | 1, 4, 0, 2, 0]); // 3: union { 2 }
        types.extend([1, (4 << 24) | 2, 8, 7, 1, 0, 0, 3, 32]); // 4: outer
        types.extend([1, (6 << 24) | 2, 4, 7, 3, 9, 7]); // 5: enum outer
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types.len(), types.len(), strings.len()] {
            bytes.extend(u32::try_from(word).unwrap().to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn fields_of_unnamed_members_are_found() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        let outer = btf.structure("outer").unwrap();
        assert_eq!(btf.offset_of(outer, "a"), Offset(0));
        assert_eq!(btf.offset_of(outer, "b"), Offset(4));
        assert_eq!(btf.offset_of(outer, "z"), Offset::ABSENT);
        assert_eq!(btf.offset_of(outer, "a.b"), Offset::ABSENT);
        assert_eq!(btf.size_of(outer), Some(8));
    }

    #[test]
    fn enumerators_have_their_values() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        let outer = btf.enumeration("outer").unwrap();
        assert_eq!(btf.value_of(outer, "b"), Some(7));
        assert_eq!(btf.value_of(outer, "z"), None);
    }

    #[test]
    fn cut_bytes_are_an_error_or_less_but_never_a_panic() {
        let bytes = sample();
        for end in 0..bytes.len() {
            assert!(Btf::parse(&bytes[..end]).is_err(), "{end}");
        }
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0xff;
            if let Ok(btf) = Btf::parse(&wrong) {
                for id in 0..8 {
                    btf.offset_of(id, "a.b");
                    btf.value_of(id, "b");
                }
            }
        }
    }
}
