//! Container and Kubernetes fields. In: the container that the thread's cgroups name, and its metadata if a runtime told
//! any. Out: id and runtime at once, everything else as soon as it is known and absent until then. On the host id, name
//! and type are `host` and the other fields absent.

use super::builtin::Builtin;
use super::text::Text;
use crate::context::Context;
use crate::state::containers::{Container, ContainerInfo, Mount, Pod};
use bumpalo::Bump;
use event::{FieldArg, Value};

pub(super) fn extract<'a>(
    ctx: &'a Context<'a>,
    field: Builtin,
    arg: Option<&FieldArg>,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    let thread = ctx.thread?;
    if thread.container_id.is_empty() {
        let named = matches!(field, Builtin::ContainerId | Builtin::ContainerName | Builtin::ContainerType);
        return named.then_some(Value::Str(HOST));
    }
    let container = ctx.state.containers.lookup(&thread.container_id);
    match field {
        Builtin::ContainerId => Some(Value::Str(&thread.container_id)),
        Builtin::ContainerFullId => Some(Value::Str(&container?.full_id)),
        Builtin::ContainerType => Some(Value::Str(runtime(container?))),
        Builtin::ContainerStartTs => started(ctx, container).map(Value::Uint),
        Builtin::ContainerDuration => Some(Value::Uint(ctx.event.ts.saturating_sub(started(ctx, container)?))),
        _ => described(container?.info.as_deref()?, field, arg, arena),
    }
}

fn runtime(container: &Container) -> &[u8] {
    let told = container.info.as_ref().map(|info| info.runtime.as_str()).filter(|name| !name.is_empty());
    told.unwrap_or(container.runtime.name()).as_bytes()
}

/// When the container began: what the runtime said, else when its pid namespace did.
fn started(ctx: &Context<'_>, container: Option<&Container>) -> Option<u64> {
    let told = container.and_then(|c| c.info.as_ref()?.start_ts);
    let namespace = ctx.thread?.pidns_init_start_ts;
    told.or((namespace != 0).then_some(namespace))
}

/// Fields that need metadata.
fn described<'a>(
    info: &'a ContainerInfo,
    field: Builtin,
    arg: Option<&FieldArg>,
    arena: &'a Bump,
) -> Option<Value<'a>> {
    use Builtin as B;
    let mount = |part: fn(&Mount, &mut Text<'_>)| mount_text(info, arg?, part, arena);
    match field {
        B::ContainerName => text(&info.name),
        B::ContainerImage => text(&info.image),
        B::ContainerImageId => text(&info.image_id),
        B::ContainerImageRepository => text(&info.image_repository),
        B::ContainerImageTag => text(&info.image_tag),
        B::ContainerImageDigest => text(&info.image_digest),
        B::ContainerHealthcheck => text(&info.healthcheck),
        B::ContainerLivenessProbe => text(&info.liveness_probe),
        B::ContainerReadinessProbe => text(&info.readiness_probe),
        B::ContainerIp => text(&info.ip),
        B::ContainerCniJson => text(&info.cni_json),
        B::ContainerPrivileged => info.privileged.map(Value::Bool),
        B::ContainerHostPid => info.host_pid.map(Value::Bool),
        B::ContainerHostNetwork => info.host_network.map(Value::Bool),
        B::ContainerHostIpc => info.host_ipc.map(Value::Bool),
        B::ContainerMounts => Some(Value::Str(all_mounts(info, arena))),
        B::ContainerMount => mount(push_mount),
        B::ContainerMountSource => mount(|m, out| out.push(m.source.as_bytes())),
        B::ContainerMountDest => mount(|m, out| out.push(m.dest.as_bytes())),
        B::ContainerMountMode => mount(|m, out| out.push(m.mode.as_bytes())),
        B::ContainerMountRdwr => mount(|m, out| out.put(format_args!("{}", m.rdwr))),
        B::ContainerMountPropagation => mount(|m, out| out.push(m.propagation.as_bytes())),
        B::ContainerLabel => label(&info.labels, arg?),
        B::ContainerLabels => all_labels(&info.labels, arena),
        _ => in_pod(info.pod.as_ref()?, field, arg, arena),
    }
}

fn in_pod<'a>(pod: &'a Pod, field: Builtin, arg: Option<&FieldArg>, arena: &'a Bump) -> Option<Value<'a>> {
    use Builtin as B;
    match field {
        B::K8sPodName => text(&pod.name),
        B::K8sNsName => text(&pod.namespace),
        B::K8sPodUid => text(&pod.uid),
        B::K8sPodId | B::K8sPodSandboxId => text(pod.full_sandbox_id.get(..SHORT_ID_BYTES)?),
        B::K8sPodFullSandboxId => text(&pod.full_sandbox_id),
        B::K8sPodIp => text(&pod.ip),
        B::K8sPodCniJson => text(&pod.cni_json),
        B::K8sPodLabel => label(&pod.labels, arg?),
        B::K8sPodLabels => all_labels(&pod.labels, arena),
        _ => None, // fields of cluster objects, which no runtime knows
    }
}

fn text(value: &str) -> Option<Value<'_>> {
    (!value.is_empty()).then_some(Value::Str(value.as_bytes()))
}

fn label<'a>(labels: &'a [(String, String)], arg: &FieldArg) -> Option<Value<'a>> {
    let FieldArg::Key(key) = arg else { return None };
    labels.iter().find(|(name, _)| name == key).map(|(_, value)| Value::Str(value.as_bytes()))
}

/// `key:value, key:value` without what the runtime put there for itself.
fn all_labels<'a>(labels: &[(String, String)], arena: &'a Bump) -> Option<Value<'a>> {
    let mut out = Text::new(arena);
    for (key, value) in labels.iter().filter(|(key, _)| !INTERNAL_LABELS.iter().any(|p| key.starts_with(p))) {
        out.separate(0, b", ");
        out.put(format_args!("{key}:{value}"));
    }
    (!out.is_empty()).then(|| Value::Str(out.finish()))
}

fn all_mounts<'a>(info: &ContainerInfo, arena: &'a Bump) -> &'a [u8] {
    let mut out = Text::new(arena);
    for mount in &info.mounts {
        out.separate(0, b",");
        push_mount(mount, &mut out);
    }
    out.finish()
}

fn push_mount(mount: &Mount, out: &mut Text<'_>) {
    let Mount { source, dest, mode, rdwr, propagation } = mount;
    out.put(format_args!("{source}:{dest}:{mode}:{rdwr}:{propagation}"));
}

/// One mount, chosen by its place in the list or by a pattern for its source or destination.
fn mount_text<'a>(
    info: &ContainerInfo,
    arg: &FieldArg,
    part: fn(&Mount, &mut Text<'_>),
    arena: &'a Bump,
) -> Option<Value<'a>> {
    let chosen = match arg {
        FieldArg::Index(index) => info.mounts.get(usize::try_from(*index).ok()?),
        FieldArg::Key(pattern) => info.mounts.iter().find(|m| {
            matches(pattern.as_bytes(), m.source.as_bytes()) || matches(pattern.as_bytes(), m.dest.as_bytes())
        }),
    };
    let mut out = Text::new(arena);
    part(chosen?, &mut out);
    Some(Value::Str(out.finish()))
}

/// Whether `text` matches a pattern in which `*` stands for any text and `?` for any byte.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || text.get(t) == Some(c) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == b'*')
}

const HOST: &[u8] = b"host";
const SHORT_ID_BYTES: usize = 12;
const INTERNAL_LABELS: &[&str] = &["annotation.", "io.kubernetes."];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_patterns() {
        for (pattern, text, expect) in [
            ("/proc*", "/proc/sys", true),
            ("/etc", "/etc", true),
            ("/etc", "/etc/x", false),
            ("*/run/?ocker*", "/var/run/docker.sock", true),
            ("a*b*c", "axxbxxb", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expect, "{pattern} on {text}");
        }
    }

    #[test]
    fn mounts_and_labels_print_in_one_line() {
        let arena = Bump::new();
        let mount = Mount { source: "/src".into(), dest: "/etc".into(), mode: "ro".into(), ..Mount::default() };
        let labels = vec![("app".to_owned(), "web".to_owned()), ("io.kubernetes.x".to_owned(), "y".to_owned())];
        let info = ContainerInfo { mounts: vec![mount], labels, ..ContainerInfo::default() };
        assert_eq!(all_mounts(&info, &arena), b"/src:/etc:ro:false:");
        assert_eq!(all_labels(&info.labels, &arena), Some(Value::Str(b"app:web")));
        let key = FieldArg::Key("/e*".into());
        let dest = described(&info, Builtin::ContainerMountDest, Some(&key), &arena);
        assert_eq!(dest, Some(Value::Str(b"/etc")));
    }
}
