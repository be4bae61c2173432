//! Maps as bytes: an owned descriptor, keys and values as the BPF side lays them out.

use crate::error::{Error, errno_of};
use crate::ffi;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapInfo, MapType};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// A map that stays open as long as this value lives, whatever becomes of the object it came from.
#[derive(Debug)]
pub struct Map {
    name: String,
    handle: MapHandle,
}

impl Map {
    /// Creates a map outside any object.
    ///
    /// # Errors
    /// EPERM without privilege, EINVAL for sizes that the type does not allow.
    pub fn create(ty: MapType, name: &str, key_bytes: u32, value_bytes: u32, entries: u32) -> Result<Map, Error> {
        let opts = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
            ..Default::default()
        };
        let made = MapHandle::create(ty, Some(name), key_bytes, value_bytes, entries, &opts);
        made.map(|handle| Map { name: name.to_owned(), handle }).map_err(|e| Error::call("create map", name, &e))
    }

    /// A ring buffer of `bytes` data bytes (a power of two, whole pages).
    ///
    /// # Errors
    /// As [`Map::create`].
    pub fn ring_buffer(name: &str, bytes: u32) -> Result<Map, Error> {
        Map::create(MapType::RingBuf, name, 0, 0, bytes)
    }

    /// Opens a pinned map.
    ///
    /// # Errors
    /// ENOENT when nothing is pinned there, EACCES when it is something other than a map.
    pub fn open_pinned(path: &Path) -> Result<Map, Error> {
        let name = path.display().to_string();
        let handle = MapHandle::from_pinned_path(path).map_err(|e| Error::call("open pinned map", &name, &e))?;
        Ok(Map { name: handle.name().to_string_lossy().into_owned(), handle })
    }

    /// Opens a map by its id.
    ///
    /// # Errors
    /// ENOENT when there is no such map, EPERM without CAP_SYS_ADMIN.
    pub fn by_id(id: u32) -> Result<Map, Error> {
        let handle = MapHandle::from_map_id(id).map_err(|e| Error::call("open map by id", &id.to_string(), &e))?;
        Ok(Map { name: handle.name().to_string_lossy().into_owned(), handle })
    }

    /// Opens the map behind a descriptor.
    ///
    /// # Errors
    /// EINVAL when it is something else.
    pub fn from_descriptor(fd: BorrowedFd<'_>) -> Result<Map, Error> {
        let info = MapInfo::new(fd).map_err(|e| Error::call("open map", "by descriptor", &e))?;
        Map::by_id(info.info.id)
    }

    pub(crate) fn with(name: String, handle: MapHandle) -> Map {
        Map { name, handle }
    }

    pub(crate) fn of(map: &libbpf_rs::Map<'_>) -> Result<Map, Error> {
        let name = map.name().to_string_lossy().into_owned();
        let handle = MapHandle::try_from(map).map_err(|e| Error::call("open map", &name, &e))?;
        Ok(Map { name, handle })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's number of the map, the same for every descriptor of it.
    ///
    /// # Errors
    /// None is expected.
    pub fn id(&self) -> Result<u32, Error> {
        let info = self.handle.info().map_err(|e| Error::call("ask about map", &self.name, &e))?;
        Ok(info.info.id)
    }

    pub fn key_bytes(&self) -> u32 {
        self.handle.key_size()
    }

    pub fn value_bytes(&self) -> u32 {
        self.handle.value_size()
    }

    pub fn max_entries(&self) -> u32 {
        self.handle.max_entries()
    }

    /// The value of `key`, `None` when the map has none.
    ///
    /// # Errors
    /// EINVAL for a key of the wrong size or a per-CPU map.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.handle.lookup(key, MapFlags::ANY).map_err(|e| self.failed("read map", &e))
    }

    /// The values of `key` in a per-CPU map, one for each possible CPU.
    ///
    /// # Errors
    /// EINVAL for a key of the wrong size or a map that is not per CPU.
    pub fn lookup_per_cpu(&self, key: &[u8]) -> Result<Option<Vec<Vec<u8>>>, Error> {
        self.handle.lookup_percpu(key, MapFlags::ANY).map_err(|e| self.failed("read map", &e))
    }

    /// Inserts or replaces.
    ///
    /// # Errors
    /// E2BIG when the map is full, EINVAL for wrong sizes.
    pub fn update(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.handle.update(key, value, MapFlags::ANY).map_err(|e| self.failed("write map", &e))
    }

    /// Writes the same value for every possible CPU.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn update_per_cpu(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let cpus = libbpf_rs::num_possible_cpus().map_err(|e| self.failed("count CPUs for map", &e))?;
        let values = vec![value.to_vec(); cpus];
        self.handle.update_percpu(key, &values, MapFlags::ANY).map_err(|e| self.failed("write map", &e))
    }

    /// Puts a map (into a map of maps) or a program (into a program array) under `key`.
    ///
    /// # Errors
    /// As [`Map::update`].
    pub fn update_fd(&self, key: &[u8], fd: BorrowedFd<'_>) -> Result<(), Error> {
        use std::os::fd::AsRawFd;
        self.update(key, &fd.as_raw_fd().to_ne_bytes())
    }

    /// Removes a key; false when it was not there.
    ///
    /// # Errors
    /// EINVAL for a map type without deletion.
    pub fn delete(&self, key: &[u8]) -> Result<bool, Error> {
        match self.handle.delete(key) {
            Ok(()) => Ok(true),
            Err(e) if errno_of(&e) == 2 => Ok(false),
            Err(e) => Err(self.failed("delete from map", &e)),
        }
    }

    /// The keys at this moment; concurrent changes may repeat or skip some.
    pub fn keys(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.handle.keys()
    }

    /// Pins the map in a BPF file system.
    ///
    /// # Errors
    /// EEXIST when the path is taken, EINVAL outside a BPF file system.
    pub fn pin(&self, path: &Path) -> Result<(), Error> {
        ffi::pin(self.as_fd(), path).map_err(|errno| Error::Call { what: "pin map", name: self.name.clone(), errno })
    }

    fn failed(&self, what: &'static str, error: &libbpf_rs::Error) -> Error {
        Error::call(what, &self.name, error)
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}
