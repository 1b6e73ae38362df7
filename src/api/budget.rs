//! Budgets: how much may be stored, what stays whatever happens, and what would go next.

use super::bucket::Bucket;
use super::store::Store;
use crate::error::Result;
use crate::model::{Budget, EvictionPreview};
use crate::ops::bucket::{budget, eviction_preview};
use crate::ops::object::attributes::{Attribute, AttributeOptions};
use crate::write::context::Reading;

impl Store {
    /// Sets how many bytes all buckets together may hold, or that there is no such budget. Kept in the store; it counts for
    /// writes that begin after this has returned. A bucket may have one of its own besides, as a configuration.
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// store.set_budget(Some(ossicle::Budget::bytes(10 << 30)))?;
    /// assert_eq!(store.budget()?.unwrap().bytes, 10 << 30);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a budget whose headroom is larger than itself, or whose order is empty or names a kind
    /// twice. Also [those of writing](crate::Store#errors-of-writing).
    pub fn set_budget(&self, budget: Option<Budget>) -> Result<()> {
        budget::set_store(self.engine(), budget)
    }

    /// How many bytes all buckets together may hold; `None` if nothing was said.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn budget(&self) -> Result<Option<Budget>> {
        budget::get_store(&Reading::newest(self.engine()))
    }

    /// What the budget of the store may evict, all together and the first `limit` in the order in which they would go.
    /// Looks at every version in the store. Without a budget, the order is that of [`Budget::bytes`].
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn eviction_preview(&self, limit: usize) -> Result<EvictionPreview> {
        eviction_preview::of_store(&Reading::newest(self.engine()), limit)
    }
}

impl Bucket {
    /// What the budget of the bucket may evict, all together and the first `limit` in the order in which they would go.
    /// Looks at every version in the bucket. Without a budget, the order is that of [`Budget::bytes`].
    ///
    /// ```
    /// # fn main() -> ossicle::Result<()> {
    /// # let store = ossicle::Store::in_memory()?;
    /// let cache = store.create_bucket("cache")?;
    /// cache.put("dear", [0; 100])?;
    /// cache.put_with("cheap", [0; 100], ossicle::PutOptions::new().priority(10))?;
    /// cache.set_pinned("dear", true)?;
    /// let preview = cache.eviction_preview(10)?;
    /// assert_eq!((preview.evictable.bytes, &preview.next[0].key[..]), (100, "cheap"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoSuchBucket` if the bucket was removed. Also [those of reading](crate::Store#errors-of-reading).
    pub fn eviction_preview(&self, limit: usize) -> Result<EvictionPreview> {
        eviction_preview::of_bucket(&self.reading(), self.reference(), limit)
    }

    /// Pins an object, or takes the pin off: what is pinned is never evicted. It can be deleted and overwritten as ever, by
    /// lifecycle rules too. The object's time stays as it is, and no version is made.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_pinned(&self, key: &str, pinned: bool) -> Result<()> {
        self.set_pinned_with(key, pinned, AttributeOptions::new())
    }

    /// [`set_pinned`](Bucket::set_pinned), with options.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_pinned_with(&self, key: &str, pinned: bool, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::Pinned(pinned), options)
    }

    /// Sets an object's priority among what may be evicted: the lowest goes first, and objects that were given none have
    /// 128. The object's time stays as it is, and no version is made.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_priority(&self, key: &str, priority: u8) -> Result<()> {
        self.set_priority_with(key, priority, AttributeOptions::new())
    }

    /// [`set_priority`](Bucket::set_priority), with options.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_priority_with(&self, key: &str, priority: u8, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::Priority(priority), options)
    }

    /// Says whether an object is anywhere else as well: what is marked as not replicated is not evicted. Whoever replicates
    /// takes the mark off. The object's time stays as it is, and no version is made.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_replicated(&self, key: &str, replicated: bool) -> Result<()> {
        self.set_replicated_with(key, replicated, AttributeOptions::new())
    }

    /// [`set_replicated`](Bucket::set_replicated), with options.
    ///
    /// # Errors
    /// [Those of an attribute](crate::Bucket#errors-of-an-attribute) and [those of
    /// writing](crate::Store#errors-of-writing).
    pub fn set_replicated_with(&self, key: &str, replicated: bool, options: AttributeOptions) -> Result<()> {
        self.set_attribute(key, Attribute::Replicated(replicated), options)
    }
}
