//! Budgets: how much may be stored, what is never evicted, and what would be evicted next.

use super::bucket::Bucket;
use super::handle::Store;
use crate::error::Result;
use crate::model::{Budget, EvictionPreview};
use crate::ops::bucket::{budget, eviction_preview};
use crate::ops::object::attributes::{Attribute, AttributeOptions};
use crate::write::context::Reading;

impl Store {
    /// Sets how many bytes all buckets together may hold; `None` removes the budget. The setting is stored, and applies to writes
    /// that begin after this has returned. A bucket can have a budget of its own besides, as a
    /// [configuration](Bucket::set_config).
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

    /// The budget of the store; `None` if it has none.
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn budget(&self) -> Result<Option<Budget>> {
        budget::get_store(&Reading::newest(self.engine()))
    }

    /// What the budget of the store may evict: the sum, and the first `limit` versions in the order of eviction. Reads every
    /// version in the store. Without a budget, the order is that of [`Budget::bytes`].
    ///
    /// # Errors
    /// [Those of reading](crate::Store#errors-of-reading).
    pub fn eviction_preview(&self, limit: usize) -> Result<EvictionPreview> {
        eviction_preview::of_store(&Reading::newest(self.engine()), limit)
    }
}

impl Bucket {
    /// What the budget of the bucket may evict: the sum, and the first `limit` versions in the order of eviction. Reads every
    /// version in the bucket. Without a budget, the order is that of [`Budget::bytes`].
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

    /// Pins an object, or removes the pin. A pinned object is never evicted; it can still be deleted and overwritten, also by
    /// lifecycle rules. The object's time stays, and no version is made.
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

    /// Sets the priority of an object for eviction, 0 to 255: the lowest is evicted first; the default is 128. The object's time
    /// stays, and no version is made.
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

    /// Sets whether a copy of the object exists elsewhere. An object that is not replicated is never evicted; set `true` once it
    /// has been copied. The object's time stays, and no version is made.
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
