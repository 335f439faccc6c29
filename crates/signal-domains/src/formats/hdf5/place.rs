//! Where in the file the numbers of a data set lie one after the other, so that a window of them is one read of the file.
//!
//! The HDF5 crate reads them too, but looks the data set up by its path and copies its description for each read, which takes
//! as long as a window does, and it does not say where they are. So the path is walked here, by its decoders: from the
//! superblock through groups of symbol tables (what h5py and MATLAB write) or of links in their headers. What is not found this way
//! (groups whose links are in a heap, soft links, shared messages, data sets in chunks) has no place, and is read by the crate.
//!
//! Source: The HDF Group, *HDF5 File Format Specification*, version 3.0, chapters II to IV.

use std::cmp::Ordering;
use std::ops::Range;

use rust_hdf5::format::btree_v1::BTreeV1Node;
use rust_hdf5::format::local_heap::LocalHeapHeader;
use rust_hdf5::format::messages::data_layout::DataLayoutMessage;
use rust_hdf5::format::messages::link::{LinkMessage, LinkTarget};
use rust_hdf5::format::messages::{
    MSG_DATA_LAYOUT, MSG_EXTERNAL_FILE_LIST, MSG_FLAG_SHARED, MSG_LINK, MSG_OBJ_HEADER_CONTINUATION, MSG_SYMBOL_TABLE,
};
use rust_hdf5::format::object_header::{OCHK_SIGNATURE, ObjectHeader, ObjectHeaderMessage};
use rust_hdf5::format::superblock::{SuperblockV0V1, SuperblockV2V3, SymbolTableCache};
use rust_hdf5::format::symbol_table::SymbolTableNode;
use rust_hdf5::format::{FormatContext, FormatError, UNDEF_ADDR};

use super::super::source::Source;
use super::is_hdf5;

/// Bytes of a header that are read at first, and at most, with the blocks in which it goes on.
const HEADER: u64 = 1 << 10;
const MOST_HEADER: u64 = 1 << 17;
/// Most entries of a node of a group; the library writes 8 and 32.
const MOST_ENTRIES: u16 = 1 << 10;

/// The bytes of the file that are the data set's; `None` where they do not lie in one piece inside it, or are not found.
pub(super) fn bytes_of(source: &Source, path: &str) -> Option<Range<u64>> {
    let groups = Groups::open(source)?;
    let mut at = groups.root;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = groups.member(at, name)?;
    }
    let messages = groups.messages(at)?;
    if messages.iter().any(|m| m.msg_type == MSG_EXTERNAL_FILE_LIST) {
        return None;
    }
    let mut layouts = messages.iter().filter(|m| m.msg_type == MSG_DATA_LAYOUT);
    let (layout, None) = (layouts.next()?, layouts.next()) else {
        return None;
    };
    match DataLayoutMessage::decode(&layout.data, &groups.context).ok()?.0 {
        DataLayoutMessage::Contiguous { address, size } => {
            let start = groups.absolute(address)?;
            let end = start.checked_add(size)?;
            (end <= source.len()).then_some(start..end)
        }
        _ => None,
    }
}

/// The groups of a file.
struct Groups<'a> {
    source: &'a Source,
    /// Where the superblock is, from which addresses count.
    base: u64,
    context: FormatContext,
    /// Address of the root group's header.
    root: u64,
    /// Most entries of a node of a symbol table, and of a node above.
    most: (u16, u16),
}

impl<'a> Groups<'a> {
    fn open(source: &'a Source) -> Option<Self> {
        let places = std::iter::once(0).chain((9..=16).map(|p| 1 << p));
        let (base, head) = places
            .map(|base| (base, some(source, base, 256)))
            .find(|(_, head)| is_hdf5(head.get(..8).unwrap_or_default()))?;
        if *head.get(8)? < 2 {
            let block = SuperblockV0V1::decode(&head).ok()?;
            return Some(Self {
                source,
                base,
                context: FormatContext {
                    sizeof_addr: block.sizeof_offsets,
                    sizeof_size: block.sizeof_lengths,
                },
                root: block.root_symbol_table_entry.obj_header_addr,
                most: (block.sym_leaf_k.checked_mul(2)?, block.btree_internal_k.checked_mul(2)?),
            });
        }
        let block = SuperblockV2V3::decode(&head).ok()?;
        Some(Self {
            source,
            base,
            context: FormatContext {
                sizeof_addr: block.sizeof_offsets,
                sizeof_size: block.sizeof_lengths,
            },
            root: block.root_group_object_header_address,
            // as the library takes them where no superblock states them
            most: (8, 32),
        })
    }

    fn absolute(&self, address: u64) -> Option<u64> {
        (address != UNDEF_ADDR).then_some(())?;
        self.base.checked_add(address)
    }

    /// What a header states; `None` where it is damaged, or the place of the data is stated elsewhere.
    fn messages(&self, address: u64) -> Option<Vec<ObjectHeaderMessage>> {
        let at = self.absolute(address)?;
        let mut bytes = some(self.source, at, HEADER);
        if let Err(FormatError::BufferTooShort { needed, .. }) = ObjectHeader::decode_any(&bytes)
            && needed as u64 <= MOST_HEADER
        {
            bytes = some(self.source, at, needed as u64);
        }
        let header = ObjectHeader::decode_any(&bytes).ok()?.0;
        let mut messages = header.messages;
        // blocks that overlap, or lead in a circle, are more than the file at last
        let (mut next, mut left) = (0, MOST_HEADER.min(self.source.len()));
        while let Some(message) = messages.get(next) {
            if message.msg_type == MSG_OBJ_HEADER_CONTINUATION {
                let (address, size) = self.sizes();
                let at = self.absolute(little(message.data.get(..address)?))?;
                let len = little(message.data.get(address..address + size)?);
                left = left.checked_sub(len.max(1))?;
                messages.extend(continued(&some(self.source, at, len), header.flags)?);
            }
            next += 1;
        }
        let shared = |m: &ObjectHeaderMessage| m.flags & MSG_FLAG_SHARED != 0 && m.msg_type == MSG_DATA_LAYOUT;
        (!messages.iter().any(shared)).then_some(messages)
    }

    /// Address of the header of a group's member.
    fn member(&self, group: u64, name: &str) -> Option<u64> {
        for message in self.messages(group)? {
            match message.msg_type {
                MSG_SYMBOL_TABLE => {
                    let size = usize::from(self.context.sizeof_addr);
                    let tree = little(message.data.get(..size)?);
                    let heap = little(message.data.get(size..2 * size)?);
                    return self.in_tree(tree, &self.heap(heap)?, name.as_bytes());
                }
                MSG_LINK => {
                    let (link, _) = LinkMessage::decode(&message.data, &self.context).ok()?;
                    if link.name == name {
                        return match link.target {
                            LinkTarget::Hard { address } => Some(address),
                            _ => None,
                        };
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Where the names of a group lie.
    fn heap(&self, address: u64) -> Option<Range<u64>> {
        let (address_size, length_size) = self.sizes();
        let head = some(self.source, self.absolute(address)?, 64);
        let heap = LocalHeapHeader::decode(&head, address_size, length_size).ok()?;
        let start = self.absolute(heap.data_addr)?;
        Some(start..start.checked_add(heap.data_size)?)
    }

    /// A member by its name, down the tree, whose keys are the last names of what is below them.
    fn in_tree(&self, tree: u64, heap: &Range<u64>, name: &[u8]) -> Option<u64> {
        let (address, size) = self.sizes();
        let (mut at, mut above) = (tree, None);
        loop {
            // a key and a child each, two siblings and one key more
            let bytes = self.node(at, self.most.1, address + size, 2 * address + size)?;
            let node = BTreeV1Node::decode(&bytes, address, size, self.most.1).ok()?;
            if above.is_some_and(|above| node.level >= above) {
                // it leads up or in a circle
                return None;
            }
            let upper = node.keys.get(1..)?;
            let child = upper.partition_point(|key| self.compare(heap, *key, name) == Ordering::Less);
            at = *node.children.get(child)?;
            if node.level == 0 {
                break;
            }
            above = Some(node.level);
        }
        let bytes = self.node(at, self.most.0, address + size + 24, 0)?;
        let node = SymbolTableNode::decode(&bytes, address, size, self.most.0).ok()?;
        let mut entries = node.entries.iter();
        let entry = entries.find(|entry| self.compare(heap, entry.name_offset, name) == Ordering::Equal)?;
        // a soft link has no header
        (!matches!(entry.cache, SymbolTableCache::SoftLink { .. })).then_some(entry.obj_header_addr)
    }

    /// Bytes of an address and of a length.
    fn sizes(&self) -> (usize, usize) {
        (
            usize::from(self.context.sizeof_addr),
            usize::from(self.context.sizeof_size),
        )
    }

    /// The bytes of a node: a head of 8, what else it has, and its entries.
    fn node(&self, at: u64, entries: u16, entry: usize, beside: usize) -> Option<Vec<u8>> {
        let bytes = 8 + beside + usize::from(entries.min(MOST_ENTRIES)) * entry;
        Some(some(self.source, self.absolute(at)?, bytes as u64))
    }

    /// A name of the heap beside another, as the library compares them.
    fn compare(&self, heap: &Range<u64>, offset: u64, name: &[u8]) -> Ordering {
        let at = heap.start.saturating_add(offset);
        let most = heap.end.saturating_sub(at).min(name.len() as u64 + 1);
        let bytes = some(self.source, at, most);
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        bytes[..end].cmp(name)
    }
}

/// The messages of a block in which a header goes on: of version 2, which says so and has the flags of its header, or of
/// version 1.
fn continued(block: &[u8], flags: u8) -> Option<Vec<ObjectHeaderMessage>> {
    let (mut rest, head) = match block.strip_prefix(&OCHK_SIGNATURE) {
        // a checksum at the end; the crate has compared it. Flag 4: messages are numbered
        Some(rest) => (rest.split_last_chunk::<4>()?.0, if flags & 4 == 0 { 4 } else { 6 }),
        None => (block, 8),
    };
    let mut messages = Vec::new();
    while let Some((start, after)) = rest.split_at_checked(head) {
        let (msg_type, size, flags) = match head {
            // the type has two bytes, of which the second is 0
            8 => (start[0], [start[2], start[3]], start[4]),
            _ => (start[0], [start[1], start[2]], start[3]),
        };
        let (data, left) = after.split_at_checked(usize::from(u16::from_le_bytes(size)))?;
        rest = left;
        messages.push(ObjectHeaderMessage {
            msg_type,
            flags,
            creation_index: 0,
            data: data.to_vec(),
        });
    }
    Some(messages)
}

/// Up to `most` bytes from `at`, as many as there are.
fn some(source: &Source, at: u64, most: u64) -> Vec<u8> {
    let left = source.len().saturating_sub(at);
    source.bytes(at, most.min(left), "HDF5").unwrap_or_default()
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
