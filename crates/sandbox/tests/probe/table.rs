//! What public lists of ways out of a container try, and what of ours tries it. The lists are facts; words and
//! code are our own.

use Way::{By, Call, Connect, Gone, Reach, Read, Write};

/// A public list, where it stands, and what it tries.
pub(crate) struct List {
    pub(crate) address: &'static str,
    pub(crate) tries: &'static [(&'static str, Way)],
}

/// How one thing of a list is tried.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// A call of the kernel: it must be unknown.
    Call(libc::c_long),
    /// A file or folder that must not open.
    Read(&'static str),
    /// A file that must not open for writing.
    Write(&'static str),
    /// A name that must not be there.
    Gone(&'static str),
    /// A socket that must not answer.
    Connect(&'static str),
    /// An address that must not be reached.
    Reach(&'static str),
    /// A case of its own.
    By(&'static str),
}

pub(crate) const LISTS: &[List] = &[
    List {
        address: "https://docs.docker.com/engine/security/seccomp/",
        tries: DOCKER,
    },
    List {
        address: "https://github.com/genuinetools/amicontained",
        tries: AMICONTAINED,
    },
    List {
        address: "https://github.com/stealthcopter/deepce",
        tries: DEEPCE,
    },
    List {
        address: "https://github.com/cdk-team/CDK",
        tries: CDK,
    },
    List {
        address: "https://github.com/peass-ng/PEASS-ng",
        tries: LINPEAS,
    },
    List {
        address: "https://github.com/containers/bubblewrap",
        tries: BUBBLEWRAP,
    },
    List {
        address: "https://github.com/openai/codex",
        tries: CODEX,
    },
    List {
        address: "https://github.com/anthropics/sandbox-runtime",
        tries: SANDBOX_RUNTIME,
    },
];

/// The calls that its default profile leaves out, with the reasons that are given for them.
const DOCKER: &[(&str, Way)] = &[
    ("end the accounting of processes", Call(libc::SYS_acct)),
    (
        "keys, which are the machine's: add_key",
        Call(libc::SYS_add_key),
    ),
    (
        "keys, which are the machine's: keyctl",
        Call(libc::SYS_keyctl),
    ),
    (
        "keys, which are the machine's: request_key",
        Call(libc::SYS_request_key),
    ),
    ("the machine's time: adjtimex", Call(libc::SYS_adjtimex)),
    (
        "the machine's time: clock_adjtime",
        Call(libc::SYS_clock_adjtime),
    ),
    (
        "the machine's time: clock_settime",
        Call(libc::SYS_clock_settime),
    ),
    (
        "the machine's time: settimeofday",
        Call(libc::SYS_settimeofday),
    ),
    ("programs in the kernel", Call(libc::SYS_bpf)),
    ("new namespaces with clone", By("namespaces")),
    ("new namespaces with unshare", Call(libc::SYS_unshare)),
    ("somebody else's namespaces", Call(libc::SYS_setns)),
    ("kernel modules: init_module", Call(libc::SYS_init_module)),
    ("kernel modules: finit_module", Call(libc::SYS_finit_module)),
    (
        "kernel modules: delete_module",
        Call(libc::SYS_delete_module),
    ),
    (
        "places of memory: get_mempolicy",
        Call(libc::SYS_get_mempolicy),
    ),
    (
        "places of memory: set_mempolicy",
        Call(libc::SYS_set_mempolicy),
    ),
    ("places of memory: mbind", Call(libc::SYS_mbind)),
    ("places of memory: move_pages", Call(libc::SYS_move_pages)),
    ("looking into other processes: kcmp", Call(libc::SYS_kcmp)),
    (
        "looking into other processes: process_vm_readv",
        Call(libc::SYS_process_vm_readv),
    ),
    (
        "looking into other processes: process_vm_writev",
        Call(libc::SYS_process_vm_writev),
    ),
    ("looking into other processes: ptrace", By("ptrace")),
    ("another kernel: kexec_load", Call(libc::SYS_kexec_load)),
    (
        "measuring the machine: lookup_dcookie",
        Call(libc::SYS_lookup_dcookie),
    ),
    (
        "measuring the machine: perf_event_open",
        Call(libc::SYS_perf_event_open),
    ),
    ("mounts: mount", Call(libc::SYS_mount)),
    ("mounts: umount2", Call(libc::SYS_umount2)),
    ("mounts: pivot_root", Call(libc::SYS_pivot_root)),
    (
        "files by handle: name_to_handle_at",
        Call(libc::SYS_name_to_handle_at),
    ),
    (
        "files by handle: open_by_handle_at",
        Call(libc::SYS_open_by_handle_at),
    ),
    (
        "the server of a network file system",
        Call(libc::SYS_nfsservctl),
    ),
    ("other personalities of the kernel", By("personality")),
    ("quotas", Call(libc::SYS_quotactl)),
    ("an end of the machine", Call(libc::SYS_reboot)),
    ("swap: swapon", Call(libc::SYS_swapon)),
    ("swap: swapoff", Call(libc::SYS_swapoff)),
    ("faults that a program answers", Call(libc::SYS_userfaultfd)),
    #[cfg(target_arch = "x86_64")]
    (
        "another kernel: kexec_file_load",
        Call(libc::SYS_kexec_file_load),
    ),
    #[cfg(target_arch = "x86_64")]
    ("ports of the machine: ioperm", Call(libc::SYS_ioperm)),
    #[cfg(target_arch = "x86_64")]
    ("ports of the machine: iopl", Call(libc::SYS_iopl)),
    #[cfg(target_arch = "x86_64")]
    ("code of sixteen bits", Call(libc::SYS_modify_ldt)),
    #[cfg(target_arch = "x86_64")]
    ("out of use: sysfs", Call(libc::SYS_sysfs)),
    #[cfg(target_arch = "x86_64")]
    ("out of use: _sysctl", Call(libc::SYS__sysctl)),
    #[cfg(target_arch = "x86_64")]
    ("out of use: uselib", Call(libc::SYS_uselib)),
    #[cfg(target_arch = "x86_64")]
    ("out of use: ustat", Call(libc::SYS_ustat)),
    // No longer there on any kernel of these days, and no number that is answered.
    #[cfg(target_arch = "x86_64")]
    ("out of use: create_module", Call(174)),
    #[cfg(target_arch = "x86_64")]
    ("out of use: get_kernel_syms", Call(177)),
    #[cfg(target_arch = "x86_64")]
    ("out of use: query_module", Call(178)),
];

const AMICONTAINED: &[(&str, Way)] = &[
    ("processes of the machine", By("signals")),
    ("how many users are known inside", By("status")),
    ("capabilities", By("capabilities")),
    ("a root that is only chroot's", Call(libc::SYS_chroot)),
    ("whether calls are filtered, and which", By("calls")),
    ("new rights on a start", By("setuid")),
];

const DEEPCE: &[(&str, Way)] = &[
    (
        "the socket of a container engine",
        Connect("/var/run/docker.sock"),
    ),
    ("the same under its other name", Connect("/run/docker.sock")),
    (
        "disks, as the list of partitions shows them",
        Gone("/dev/sda"),
    ),
    ("disks of a virtual machine", Gone("/dev/vda")),
    ("sockets among what is mounted", By("status")),
    ("environments of other processes", By("first-process")),
    ("homes", By("files")),
    ("passwords", Read("/etc/shadow")),
    ("secrets of a service", Read("/run/secrets")),
    ("ports of the machine", Reach("127.0.0.1:22")),
    ("its neighbours", Reach("172.17.0.1:80")),
];

const CDK: &[(&str, Way)] = &[
    ("folders of the machine that can be written", By("status")),
    (
        "sockets without a file of an engine's helper",
        By("abstract"),
    ),
    ("capabilities that open files by handle", By("capabilities")),
    (
        "who may use which device",
        Write("/sys/fs/cgroup/devices/devices.allow"),
    ),
    (
        "a program that is run when a group is empty",
        Write("/sys/fs/cgroup/release_agent"),
    ),
    (
        "the same of an older tree",
        Write("/sys/fs/cgroup/memory/release_agent"),
    ),
    (
        "the same of the tree of no controller",
        Write("/sys/fs/cgroup/rdma/release_agent"),
    ),
    (
        "a program that is given a memory image",
        Write("/proc/sys/kernel/core_pattern"),
    ),
    ("the program that builds containers", Write("/proc/1/exe")),
    (
        "the own program, which somebody outside may start",
        Write("/proc/self/exe"),
    ),
    (
        "what is known of machines in a cloud",
        Reach("169.254.169.254:80"),
    ),
    ("the same at another provider", Reach("100.100.100.200:80")),
    ("the same over IPv6", Reach("[fd00:ec2::254]:80")),
    ("the agent of a virtual machine", Reach("168.63.129.16:80")),
    (
        "the token of a cluster",
        Read("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    ),
    ("the keys of a cluster", Read("/etc/kubernetes/admin.conf")),
    ("the agent of a cluster", Read("/var/lib/kubelet")),
    ("the interface of a cluster", Reach("10.96.0.1:443")),
    ("the agent's port", Reach("127.0.0.1:10250")),
    ("an engine's port", Reach("127.0.0.1:2375")),
    (
        "the socket of containerd",
        Connect("/run/containerd/containerd.sock"),
    ),
    ("the socket of CRI-O", Connect("/run/crio/crio.sock")),
    ("the socket of Podman", Connect("/run/podman/podman.sock")),
    ("a file system of containers", Gone("/var/lib/lxcfs")),
    ("secrets in the environment", By("environment")),
    ("user namespaces for everybody", By("namespaces")),
];

const LINPEAS: &[(&str, Way)] = &[
    (
        "a program for devices that come",
        Write("/sys/kernel/uevent_helper"),
    ),
    (
        "a program for unknown files",
        Write("/proc/sys/fs/binfmt_misc/register"),
    ),
    ("a program for modules", Write("/proc/sys/kernel/modprobe")),
    (
        "a program that is given a memory image",
        Write("/proc/sys/kernel/core_pattern"),
    ),
    (
        "an end of the machine when memory is short",
        Write("/proc/sys/vm/panic_on_oom"),
    ),
    (
        "an end of the machine by another switch",
        Write("/proc/sys/kernel/panic_on_oops"),
    ),
    (
        "an end of the machine by a key",
        Write("/proc/sysrq-trigger"),
    ),
    (
        "memory images of programs with rights",
        Write("/proc/sys/fs/suid_dumpable"),
    ),
    ("the machine's name", Write("/proc/sys/kernel/hostname")),
    ("the kernel's log", Read("/proc/kmsg")),
    ("the kernel's log as a device", Gone("/dev/kmsg")),
    ("where the kernel lies", By("status")),
    ("the kernel's memory", Read("/proc/kcore")),
    ("the machine's memory", Gone("/dev/mem")),
    ("the kernel's memory as a device", Gone("/dev/kmem")),
    ("ports of the machine as a device", Gone("/dev/port")),
    (
        "where a memory image would be",
        Gone("/sys/kernel/vmcoreinfo"),
    ),
    ("security modules", Gone("/sys/kernel/security")),
    (
        "what the kernel shows to its makers",
        Gone("/sys/kernel/debug"),
    ),
    ("what is traced", Gone("/sys/kernel/tracing")),
    (
        "variables of the firmware",
        Gone("/sys/firmware/efi/efivars"),
    ),
    ("tables of the firmware", Gone("/sys/firmware/acpi")),
    ("who waits for what in the kernel", Read("/proc/timer_list")),
    ("the scheduler", Gone("/sys/kernel/debug/sched")),
    ("folders of the machine without nosuid", By("status")),
    (
        "the bus of the system",
        Connect("/run/dbus/system_bus_socket"),
    ),
    ("the first service", Connect("/run/systemd/private")),
    (
        "packages that install themselves",
        Connect("/run/snapd.socket"),
    ),
    ("machines of LXD", Connect("/var/lib/lxd/unix.socket")),
    ("virtual machines", Connect("/run/libvirt/libvirt-sock")),
    ("the screen", Connect("/tmp/.X11-unix/X0")),
];

const BUBBLEWRAP: &[(&str, Way)] = &[
    ("typing into the caller's terminal", By("terminal")),
    ("outliving the caller", By("vanish")),
    ("descriptors of the caller", By("descriptors")),
    ("capabilities that are left", By("capabilities")),
    ("namespaces in the namespaces", By("namespaces")),
    ("a link in the place of a folder", By("swapped")),
    (
        "passwords through a folder that is shown",
        Read("/etc/shadow"),
    ),
    ("a command that looks like an option", By("hello")),
];

const CODEX: &[(&str, Way)] = &[
    ("writing at the root", By("write-system")),
    (
        "writing where a workspace is read only",
        By("write-read-only"),
    ),
    ("writing what is shielded in a workspace", By("shield")),
    ("a link in the place of what is shielded", By("links")),
    ("more time", By("time")),
    ("rights on a start", By("setuid")),
    ("names and addresses", By("network")),
    ("raw packets", By("sockets")),
    ("rings of calls", Call(libc::SYS_io_uring_setup)),
];

const SANDBOX_RUNTIME: &[(&str, Way)] = &[
    ("sockets of others with a file", By("listed")),
    ("sockets of others without a file", By("abstract")),
    ("past the broker", By("broker")),
    (
        "rings of calls, which no filter sees",
        Call(libc::SYS_io_uring_enter),
    ),
    ("watching the process that filters", By("ptrace")),
    ("the memory of the first process", By("first-process")),
    ("namespaces in the namespaces", By("namespaces")),
    ("a folder that is made meanwhile", By("swapped")),
];
