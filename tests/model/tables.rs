//! What states are made of is kept once and named by a number; what was worked out once is not worked out again. Both
//! are sound because every number stands for one value for as long as the process lives, and `plan` is pure.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

/// Values by number.
pub(crate) struct Table<T> {
    numbers: Memo<String, u32>,
    values: RwLock<Vec<Arc<T>>>,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            numbers: Memo::new(),
            values: RwLock::default(),
        }
    }

    /// The number of a value; `name` says all that is to be told apart.
    pub(crate) fn put(&self, name: String, value: T) -> u32 {
        self.numbers.get(name, |_| {
            let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
            values.push(Arc::new(value));
            u32::try_from(values.len() - 1).expect("fewer values")
        })
    }

    pub(crate) fn get(&self, number: u32) -> Arc<T> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&values[number as usize])
    }
}

const PARTS: usize = 64;

/// What was worked out, by what it was worked out from.
pub(crate) struct Memo<K, V> {
    parts: Vec<RwLock<HashMap<K, V, BuildHasherDefault<Quick>>>>,
}

impl<K: Hash + Eq + Clone, V: Clone> Memo<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
        }
    }

    pub(crate) fn get(&self, key: K, work: impl FnOnce(&K) -> V) -> V {
        let part =
            &self.parts[(BuildHasherDefault::<Quick>::default().hash_one(&key) >> 32) as usize % PARTS];
        let known = part.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(&key) {
            return value.clone();
        }
        drop(known);
        let value = work(&key);
        let mut known = part.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(key).or_insert(value).clone()
    }

    pub(crate) fn len(&self) -> usize {
        let len = |p: &RwLock<HashMap<_, _, _>>| p.read().unwrap_or_else(PoisonError::into_inner).len();
        self.parts.iter().map(len).sum()
    }
}

/// A quick hash of short keys.
#[derive(Default)]
pub(crate) struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
