//! Maps that are in the kernel now, whoever loaded them: listed by id, opened by id. Needs CAP_SYS_ADMIN (the kernel asks for
//! it to turn ids into descriptors). A map may vanish between listing and opening: that is an error of that map alone.

use crate::error::{Error, errno_of};
use crate::map::Map;
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapHandle, MapType};

/// What the kernel says of one map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveMap {
    pub id: u32,
    /// At most 15 bytes; longer names were cut by the loader.
    pub name: String,
    pub ty: MapType,
    pub value_bytes: u32,
    pub max_entries: u32,
}

/// All maps at this moment.
pub fn maps() -> impl Iterator<Item = LiveMap> {
    MapInfoIter::default().map(|info| LiveMap {
        id: info.id,
        name: info.name.to_string_lossy().into_owned(),
        ty: info.ty,
        value_bytes: info.value_size,
        max_entries: info.max_entries,
    })
}

impl LiveMap {
    /// Opens the map.
    ///
    /// # Errors
    /// ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.
    pub fn open(&self) -> Result<Map, Error> {
        let failed =
            |e: libbpf_rs::Error| Error::Call { what: "open map", name: self.name.clone(), errno: errno_of(&e) };
        MapHandle::from_map_id(self.id).map(|handle| Map::with(self.name.clone(), handle)).map_err(failed)
    }
}
