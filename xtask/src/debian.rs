//! Kernels and busybox of Debian: in, a cache directory and the name of a kernel; out, files fetched with apt from this machine's
//! own mirror into the cache. apt works on lists of its own, so nothing is installed and nothing of the machine changes.

use crate::kernels::libraries;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A kernel that was fetched.
pub struct Kernel {
    pub image: PathBuf,
    pub config: PathBuf,
    /// Paths of [`MODULES`].
    pub modules: Vec<PathBuf>,
    pub release: String,
}

pub fn fetch(cache: &Path, name: &str) -> Result<Kernel> {
    let dir = cache.join(name);
    let modules: Vec<PathBuf> = MODULES.iter().map(|module| dir.join(module)).collect();
    if !dir.join("release").is_file() || !modules.iter().all(|module| module.is_file()) {
        let suite =
            SUITES.iter().find(|(known, _)| *known == name).map(|(_, suite)| *suite).context("unknown kernel")?;
        download(cache, suite, &dir).with_context(|| format!("fetch kernel {name} from {suite}"))?;
    }
    let release = fs::read_to_string(dir.join("release"))?.trim().to_owned();
    Ok(Kernel { image: dir.join("vmlinuz"), config: dir.join("config"), modules, release })
}

fn download(cache: &Path, suite: &str, dir: &Path) -> Result<()> {
    let apt = Apt::new(cache, suite)?;
    apt.run("apt-get", &["update"])?;
    let depends = apt.run("apt-cache", &["depends", "linux-image-cloud-amd64"])?;
    let package = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|p| p.starts_with("linux-image-"));
    let package = package.context("linux-image-cloud-amd64 names no kernel")?.to_owned();
    let release = package.trim_start_matches("linux-image-").to_owned();
    // From 7 on the parts of a kernel are packages of their own.
    let split = format!("linux-binary-{release}");
    let is_split = apt.run("apt-cache", &["show", &split]).is_ok();
    let packages = if is_split { vec![split, format!("linux-base-{release}")] } else { vec![package] };
    let unpacked = cache.join("unpacked");
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir_all(&unpacked)?;
    for package in &packages {
        unpack(&apt, package, &unpacked)?;
    }
    fs::create_dir_all(dir)?;
    fs::copy(find(&unpacked, "vmlinuz-").or_else(|_| find(&unpacked, "vmlinuz"))?, dir.join("vmlinuz"))?;
    fs::copy(find(&unpacked, "config-").or_else(|_| find(&unpacked, "config"))?, dir.join("config"))?;
    MODULES.iter().try_for_each(|module| copy_module(&unpacked, dir, module))?;
    fs::write(dir.join("release"), release)?;
    fs::remove_dir_all(&unpacked)?;
    Ok(())
}

/// From 6.12 on Debian compresses modules.
fn copy_module(unpacked: &Path, dir: &Path, module: &str) -> Result<()> {
    let packed = find(unpacked, module)?;
    if packed.extension().is_some_and(|extension| extension == "xz") {
        let plain = fs::File::create(dir.join(module))?;
        let status = Command::new("xz").arg("-dc").arg(&packed).stdout(plain).status().context("start xz")?;
        ensure!(status.success(), "xz cannot unpack `{}`", packed.display());
        return Ok(());
    }
    fs::copy(packed, dir.join(module)).map(drop).map_err(Into::into)
}

fn unpack(apt: &Apt, package: &str, into: &Path) -> Result<()> {
    apt.run_in(into, "apt-get", &["download", package])?;
    let archive = fs::read_dir(into)?.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "deb"));
    let archive = archive.with_context(|| format!("package `{package}` was not downloaded"))?;
    command(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(into))?;
    fs::remove_file(archive)?;
    Ok(())
}

/// The first file below `dir` whose name begins so.
fn find(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at)?.flatten() {
            let path = entry.path();
            let named = entry.file_name().to_string_lossy().starts_with(prefix);
            if named && path.is_file() {
                return Ok(path);
            }
            if path.is_dir() && !path.is_symlink() {
                todo.push(path);
            }
        }
    }
    bail!("no file `{prefix}*` in {}", dir.display())
}

pub fn busybox(cache: &Path) -> Result<PathBuf> {
    let installed = Path::new("/bin/busybox");
    let is_static = |path: &Path| path.is_file() && libraries(path).is_ok_and(|all| all.is_empty());
    if is_static(installed) {
        return Ok(installed.to_owned());
    }
    let own = cache.join("busybox");
    if !own.is_file() {
        let dir = cache.join("unpacked-busybox");
        fs::create_dir_all(&dir)?;
        command(
            Command::new("apt-get")
                .args(["-q", "-o", "APT::Sandbox::User=root", "download", "busybox-static"])
                .current_dir(&dir),
        )?;
        let archive = find(&dir, "busybox-static")?;
        command(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&dir))?;
        fs::copy(dir.join("bin/busybox"), &own)?;
        fs::remove_dir_all(dir)?;
    }
    Ok(own)
}

/// apt with a state of its own, so that the machine's package lists stay as they are.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(cache: &Path, suite: &str) -> Result<Self> {
        let dir = cache.join("apt").join(suite);
        fs::create_dir_all(dir.join("lists/partial"))?;
        fs::create_dir_all(dir.join("cache/archives/partial"))?;
        let mirror = mirror()?;
        let mirror = if suite.ends_with("-security") { format!("{mirror}-security") } else { mirror };
        let source = format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {suite} main\n");
        fs::write(dir.join("sources.list"), source)?;
        let at = |name: &str| dir.join(name).display().to_string();
        let options = [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=-".into(),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            "APT::Sandbox::User=root".into(),
            "Acquire::Languages=none".into(),
        ];
        Ok(Apt { options: options.into_iter().flat_map(|o| ["-o".to_owned(), o]).chain(["-q".to_owned()]).collect() })
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        self.run_in(Path::new("."), program, args)
    }

    fn run_in(&self, dir: &Path, program: &str, args: &[&str]) -> Result<String> {
        command(Command::new(program).args(&self.options).args(args).current_dir(dir))
    }
}

/// The mirror that this machine's own apt uses.
fn mirror() -> Result<String> {
    let targets = command(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))?;
    let uri = targets.lines().map(|line| line.trim_end_matches('/')).find(|line| line.ends_with("/debian"));
    Ok(uri.context("apt of this machine names no Debian mirror")?.to_owned())
}

/// Output of a command that must succeed.
pub fn command(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Debian suite of each kernel.
const SUITES: &[(&str, &str)] =
    &[("5.10", "bullseye-security"), ("6.1", "bookworm-security"), ("6.12", "trixie"), ("7", "trixie-backports")];
/// The modules that guests load: one with types of its own, and what filters hang on.
pub const MODULES: [&str; 3] = ["veth.ko", "sch_ingress.ko", "cls_bpf.ko"];
