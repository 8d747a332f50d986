//! How many processes of our control group the kernel has killed for lack of memory. It tells an end for lack of memory
//! from every other `SIGKILL`.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel keeps the count, in cgroup v2 or v1.
#[derive(Debug, PartialEq, Eq)]
pub struct MemoryKills {
    file: PathBuf,
    before: u64,
}

impl MemoryKills {
    /// From now on; none where the kernel does not say, as outside of any control group.
    pub fn from_now() -> Option<Self> {
        let read = |file| fs::read_to_string(Path::new("/proc/self").join(file)).ok();
        let file = file(&read("cgroup")?, &read("mountinfo")?)?;
        let before = count(&file)?;
        Some(Self { file, before })
    }

    pub fn so_far(&self) -> u64 {
        count(&self.file).map_or(0, |now| now.saturating_sub(self.before))
    }
}

fn count(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?
        .parse()
        .ok()
}

/// From `/proc/self/cgroup` and `/proc/self/mountinfo`. Where both versions are there, memory belongs to v1 if it has a
/// hierarchy there.
fn file(cgroup: &str, mounts: &str) -> Option<PathBuf> {
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    let group_of = |wanted: fn(&str) -> bool| {
        cgroup.lines().find_map(|line| {
            let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
            wanted(controllers).then_some(group)
        })
    };
    if let Some(group) = group_of(|controllers| has(controllers, "memory")) {
        let is_memory = |mount: &&Mount| mount.kind == "cgroup" && has(mount.options, "memory");
        let mount = mounts.iter().find(is_memory)?;
        return Some(mount.folder_of(group).join("memory.oom_control"));
    }
    let group = group_of(str::is_empty)?;
    let mount = mounts.iter().find(|mount| mount.kind == "cgroup2")?;
    Some(mount.folder_of(group).join("memory.events"))
}

fn has(list: &str, wanted: &str) -> bool {
    list.split(',').any(|each| each == wanted)
}

/// A line of mountinfo: where which part of which file system is.
struct Mount<'a> {
    root: &'a str,
    folder: &'a Path,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut system = system.split(' ');
        Some(Self {
            root: mount.next()?,
            folder: Path::new(mount.next()?),
            kind: system.next()?,
            options: system.nth(1)?,
        })
    }

    /// In a container often only the container's own group is mounted, under its name outside.
    fn folder_of(&self, group: &str) -> PathBuf {
        let inside = Path::new(group).strip_prefix(self.root);
        self.folder.join(inside.unwrap_or(Path::new("")))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
    const V2: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1_OF_A_CONTAINER: &str = "35 31 0:32 /kubepods/pod1/c1 /sys/fs/cgroup/memory ro,relatime master:11 - cgroup cgroup rw,memory\n";

    #[rstest]
    #[case::v2(
        "0::/user/job\n",
        V2,
        Some("/sys/fs/cgroup/unified/user/job/memory.events")
    )]
    #[case::v2_of_a_container("0::/\n", V2, Some("/sys/fs/cgroup/unified/memory.events"))]
    #[case::v1(
        "5:cpu,cpuacct:/a\n4:memory:/job\n0::/\n",
        &[V2, V1].concat(),
        Some("/sys/fs/cgroup/memory/job/memory.oom_control")
    )]
    #[case::v1_of_a_container(
        "4:memory:/kubepods/pod1/c1\n",
        V1_OF_A_CONTAINER,
        Some("/sys/fs/cgroup/memory/memory.oom_control")
    )]
    #[case::a_group_outside_of_the_mount(
        "4:memory:/elsewhere\n",
        V1_OF_A_CONTAINER,
        Some("/sys/fs/cgroup/memory/memory.oom_control")
    )]
    #[case::a_name_with_colons(
        "4:memory:/a:b\n",
        V1,
        Some("/sys/fs/cgroup/memory/a:b/memory.oom_control")
    )]
    #[case::not_mounted("4:memory:/job\n", V2, None)]
    #[case::no_group("", V2, None)]
    fn the_count_is_found(#[case] cgroup: &str, #[case] mounts: &str, #[case] found: Option<&str>) {
        assert_eq!(file(cgroup, mounts).as_deref(), found.map(Path::new));
    }

    #[rstest]
    #[case::v1("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", Some(3))]
    #[case::v2(
        "low 0\nhigh 0\nmax 21\noom 2\noom_kill 1\noom_group_kill 0\n",
        Some(1)
    )]
    #[case::an_old_kernel("oom_kill_disable 0\nunder_oom 0\n", None)]
    fn the_count_is_read(#[case] content: &str, #[case] kills: Option<u64>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        assert_eq!(count(file.path()), kills);
    }
}
