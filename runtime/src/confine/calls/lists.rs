//! Which system calls a compiler needs, and which a worker must not make.

use crate::defence::{Defence, stands};
use libc::c_long;

/// A system call, always or when one of the rules holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: i64,
    /// None is always.
    pub(super) when: Vec<Rule>,
}

/// What arguments, by their place from 0, must be; all of it.
pub(super) type Rule = Vec<(u8, Is)>;

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Equal(u64),
    Other(u64),
    /// Equal in the bits of the mask.
    Masked {
        mask: u64,
        value: u64,
    },
    /// No pointer.
    Null,
}

/// The second table of numbers that processors of this kind have, for 32-bit pointers: the
/// same calls with this bit. A list of what is forbidden must name both.
#[cfg(target_arch = "x86_64")]
const SHORT_POINTERS: i64 = 0x4000_0000;

/// What compiling needs once the component is on its way: memory, time, its three pipes, and
/// its own end.
const COMPILER: [c_long; 37] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What no worker does: it looks into no process, changes no kernel, mounts nothing, and
/// makes no name spaces.
const REFUSED: [c_long; 59] = [
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // The kernel itself.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_vhangup,
    // Keys that outlive a process.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // File systems and name spaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    // The machine's name and clocks.
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // Programs without a name: the compiler is started by its path.
    libc::SYS_execveat,
    // Other ways to do what is refused here or watched by Landlock.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_memfd_secret,
    libc::SYS_nfsservctl,
];

/// The same, of this kind of processor.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: [c_long; 9] = [
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_mknod,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
    libc::SYS_lookup_dcookie,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: [c_long; 0] = [];

/// What no process of guests does, beside that: it starts nothing, signals nobody, changes
/// nothing of others, shares no memory, and serves nobody.
const REFUSED_IN_CELL: [c_long; 23] = [
    libc::SYS_execve,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
];
/// The same, of this kind of processor.
#[cfg(target_arch = "x86_64")]
const REFUSED_IN_CELL_HERE: [c_long; 2] = [libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_IN_CELL_HERE: [c_long; 0] = [];

/// What makes a process one of another name space, one flag each.
const NEW_SPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Families of sockets that a process of guests uses with a network; the last one asks the
/// kernel for addresses when a name is looked up.
const INTERNET: [libc::c_int; 3] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
/// Those that a worker uses.
const SOCKETS: [libc::c_int; 4] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];
/// The bits of a socket's type beside its flags.
const TYPE_BITS: u64 = 0xf;

/// The calls of a compiler, the process of which is `own`.
pub(super) fn compiler(own: u64) -> Vec<Call> {
    let mut calls: Vec<_> = COMPILER.into_iter().map(always).collect();
    let executable = bits(libc::PROT_EXEC);
    let data_only = vec![(
        2,
        Is::Masked {
            mask: executable,
            value: 0,
        },
    )];
    // Memory is never code: what is compiled runs elsewhere.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        calls.push(match stands(Defence::Executable) {
            true => when(call, [data_only.clone()]),
            false => always(call),
        });
    }
    // It may read its limits, and end itself.
    calls.push(when(
        libc::SYS_prlimit64,
        [vec![(0, Is::Equal(0)), (2, Is::Null)]],
    ));
    calls.push(when(libc::SYS_tgkill, [vec![(0, Is::Equal(own))]]));
    // The allocator gives a name to what it maps, for whoever reads the list of maps.
    let naming = vec![(0, Is::Equal(bits(libc::PR_SET_VMA)))];
    calls.push(when(libc::SYS_prctl, [naming]));
    calls
}

/// The calls that are errors in a worker.
pub(super) fn refused() -> Vec<Call> {
    let mut calls = refused_always();
    calls.push(when(libc::SYS_clone, NEW_SPACES.map(has)));
    calls.push(sockets_but(&SOCKETS));
    in_both_tables(calls)
}

/// The calls that are errors in a process of guests, whose number is `own`.
pub(super) fn refused_in_cell(own: u64, network: bool) -> Vec<Call> {
    let more = REFUSED_IN_CELL.into_iter().chain(REFUSED_IN_CELL_HERE);
    let mut calls = refused_always();
    calls.extend(more.map(always));
    // A thread is one of the same process.
    let mask = bits(libc::CLONE_THREAD);
    let process = vec![(0, Is::Masked { mask, value: 0 })];
    let spaces = NEW_SPACES.map(has).into_iter();
    calls.push(Call {
        number: libc::SYS_clone,
        when: spaces.chain([process]).collect(),
    });
    calls.push(match network {
        true => sockets_but(&INTERNET),
        false => always(libc::SYS_socket),
    });
    calls.push(when(libc::SYS_tgkill, [vec![(0, Is::Other(own))]]));
    // Limits of others.
    let others = vec![(0, Is::Other(0))];
    calls.push(when(libc::SYS_prlimit64, [others]));
    // Whose end is its own.
    let parent = vec![(0, Is::Equal(bits(libc::PR_SET_PDEATHSIG)))];
    calls.push(when(libc::SYS_prctl, [parent]));
    in_both_tables(calls)
}

fn refused_always() -> Vec<Call> {
    let refused = REFUSED.into_iter().chain(REFUSED_HERE);
    refused.map(always).collect()
}

/// A first argument with this flag.
fn has(flag: libc::c_int) -> Rule {
    let flag = bits(flag);
    let (mask, value) = (flag, flag);
    vec![(0, Is::Masked { mask, value })]
}

/// Sockets of other families, and raw ones.
fn sockets_but(families: &[libc::c_int]) -> Call {
    let foreign = families.iter();
    let foreign = foreign
        .map(|family| (0, Is::Other(bits(*family))))
        .collect();
    let raw = |family: libc::c_int| {
        let (mask, value) = (TYPE_BITS, bits(libc::SOCK_RAW));
        vec![
            (0, Is::Equal(bits(family))),
            (1, Is::Masked { mask, value }),
        ]
    };
    let sockets = [foreign, raw(libc::AF_INET), raw(libc::AF_INET6)];
    when(libc::SYS_socket, sockets)
}

/// The calls that do not exist for a worker: whoever makes them has another way, whose
/// arguments can be read.
pub(super) fn unknown() -> Vec<Call> {
    in_both_tables(vec![always(libc::SYS_clone3)])
}

fn always(number: c_long) -> Call {
    when(number, [])
}

fn when<const N: usize>(number: c_long, rules: [Rule; N]) -> Call {
    Call {
        number,
        when: rules.into(),
    }
}

#[cfg(target_arch = "x86_64")]
fn in_both_tables(calls: Vec<Call>) -> Vec<Call> {
    let short = |call: &Call| Call {
        number: call.number | SHORT_POINTERS,
        when: call.when.clone(),
    };
    let also: Vec<_> = calls.iter().map(short).collect();
    calls.into_iter().chain(also).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn in_both_tables(calls: Vec<Call>) -> Vec<Call> {
    calls
}

/// Returns a constant of the system, which is never negative, as the bits of an argument.
fn bits(constant: libc::c_int) -> u64 {
    u64::from(constant.unsigned_abs())
}
