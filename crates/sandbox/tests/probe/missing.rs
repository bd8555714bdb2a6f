//! A machine without one layer, as a program finds it: the kernel answers the call that the layer needs as one
//! that never had it.

use crate::drive::{job, native, own};
use instar_sandbox::native::StartError;
use instar_sandbox::spec::{Access, Argv};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::path::Path;
use std::process::ExitCode;

/// A call that fails; where a condition stands, only with that in an argument.
struct Lacks {
    call: libc::c_long,
    only: Option<(u8, SeccompCmpOp, u64)>,
    /// What a refusal has to say, so that a person knows what to do or what it was.
    says: &'static str,
}

fn lacks(layer: &str) -> Option<Lacks> {
    let prctl = |option: libc::c_int| {
        let option = u64::try_from(option).unwrap();
        Some((0, SeccompCmpOp::Eq, option))
    };
    let (call, only, says) = match layer {
        "namespaces" => (libc::SYS_unshare, None, "apt-get install bubblewrap"),
        "landlock" => (libc::SYS_landlock_create_ruleset, None, "lsm="),
        "filter" => (libc::SYS_seccomp, None, "CONFIG_SECCOMP_FILTER"),
        "rights" => (libc::SYS_capset, None, "give up capabilities"),
        "no-new-rights" => (
            libc::SYS_prctl,
            prctl(libc::PR_SET_NO_NEW_PRIVS),
            "no_new_privs",
        ),
        // Reading a limit is the same call without a new one.
        "limits" => (
            libc::SYS_prlimit64,
            Some((2, SeccompCmpOp::Ne, 0)),
            "limit what it may use up",
        ),
        _ => return None,
    };
    Some(Lacks { call, only, says })
}

impl Lacks {
    fn filter(&self, machine: &str) -> BpfProgram {
        let rules = self.only.iter().map(|(argument, operator, value)| {
            let length = SeccompCmpArgLen::Qword;
            let condition = SeccompCondition::new(*argument, length, operator.clone(), *value);
            SeccompRule::new(vec![condition.unwrap()]).unwrap()
        });
        let failed = SeccompAction::Errno(u32::try_from(libc::ENOSYS).unwrap());
        let rules = [(self.call, rules.collect())].into();
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            failed,
            machine.try_into().unwrap(),
        );
        filter.unwrap().try_into().unwrap()
    }
}

/// Nothing runs, not even with what is left, and the words say what is missing.
pub(crate) fn lack(layer: &str, maker: &str, folder: &Path) -> ExitCode {
    let Some(lacks) = lacks(layer) else {
        println!("no layer is named {layer}");
        return ExitCode::FAILURE;
    };
    apply_filter(&lacks.filter(std::env::consts::ARCH)).unwrap();
    let mut job = job("lack", folder);
    job.walls.workspace = Access::Write;
    job.argv = Argv::new(own(&["touch", "/work/ran"])).unwrap();
    let result = native(maker).run(job);
    println!("{layer} with {maker}: {result:?}");
    let told = matches!(&result, Err(StartError::Refused(words)) if words.contains(lacks.says));
    if told && !folder.join("work/ran").exists() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
