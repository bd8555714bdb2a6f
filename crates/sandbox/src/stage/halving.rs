//! A filter that finds a call among many by halving instead of one after the other.

use seccompiler::{BpfProgram, sock_filter};
use std::collections::BTreeSet;

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JGE | BPF_K`, `BPF_JMP | BPF_JA`,
/// `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_NOT_LESS: u16 = 0x35;
const GO: u16 = 0x05;
const RETURN: u16 = 0x06;
/// `SECCOMP_RET_ALLOW`.
pub(super) const ALLOW: u32 = 0x7fff_0000;
/// Where the kernel puts number and machine.
const NUMBER_AT: u32 = 0;
const MACHINE_AT: u32 = 4;

/// Allows these calls of this machine, and leaves all others to `rest`.
pub(super) fn before(allowed: &BTreeSet<u32>, machine: u32, rest: BpfProgram) -> BpfProgram {
    let mut search = Vec::new();
    halve(&intervals(allowed), &mut search);
    let mut program = vec![
        instruction(LOAD, 0, 0, MACHINE_AT),
        instruction(IF_EQUAL, 1, 0, machine),
        // Another machine's numbers mean other calls.
        instruction(GO, 0, 0, distance(search.len() + 1)),
        instruction(LOAD, 0, 0, NUMBER_AT),
    ];
    let end = search.len();
    for (at, step) in search.into_iter().enumerate() {
        program.push(match step {
            Step::Is(instruction) => instruction,
            Step::Leave => instruction(GO, 0, 0, distance(end - at - 1)),
        });
    }
    program.extend(rest);
    program
}

enum Step {
    Is(sock_filter),
    /// On to what stands behind.
    Leave,
}

/// From which number on calls are allowed or not: each stretch by its first number.
fn intervals(allowed: &BTreeSet<u32>) -> Vec<(u32, bool)> {
    let mut all = vec![(0, allowed.contains(&0))];
    for &number in allowed {
        if number > 0 && !allowed.contains(&(number - 1)) {
            all.push((number, true));
        }
        if let Some(next) = number.checked_add(1).filter(|next| !allowed.contains(next)) {
            all.push((next, false));
        }
    }
    all
}

fn halve(intervals: &[(u32, bool)], steps: &mut Vec<Step>) {
    let (left, right) = intervals.split_at(intervals.len() / 2);
    let Some(&(first, allowed)) = right.first() else {
        return;
    };
    if left.is_empty() {
        steps.push(if allowed {
            Step::Is(instruction(RETURN, 0, 0, ALLOW))
        } else {
            Step::Leave
        });
        return;
    }
    let mut below = Vec::new();
    halve(left, &mut below);
    // A jump with a condition reaches 255 steps; further ones need one of their own.
    match u8::try_from(below.len()) {
        Ok(over) => steps.push(Step::Is(instruction(IF_NOT_LESS, over, 0, first))),
        Err(_) => steps.extend([
            Step::Is(instruction(IF_NOT_LESS, 0, 1, first)),
            Step::Is(instruction(GO, 0, 0, distance(below.len()))),
        ]),
    }
    steps.append(&mut below);
    halve(right, steps);
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn distance(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a filter answers to a call all of whose arguments are the same.
    pub(crate) fn answer(program: &[sock_filter], call: u32, machine: u32, argument: u64) -> u32 {
        let mut data = [0_u8; 64];
        data[0..4].copy_from_slice(&call.to_le_bytes());
        data[4..8].copy_from_slice(&machine.to_le_bytes());
        for at in (16..64).step_by(8) {
            data[at..at + 8].copy_from_slice(&argument.to_le_bytes());
        }
        let (mut at, mut held) = (0, 0);
        loop {
            let one = &program[at];
            let k = usize::try_from(one.k).unwrap();
            let jump = |yes: bool| usize::from(if yes { one.jt } else { one.jf });
            at += 1 + match one.code {
                LOAD => {
                    held = u32::from_le_bytes(data[k..k + 4].try_into().unwrap());
                    0
                }
                RETURN => return one.k,
                GO => k,
                IF_EQUAL => jump(held == one.k),
                IF_NOT_LESS => jump(held >= one.k),
                // Greater, some of these bits, and with a mask.
                0x25 => jump(held > one.k),
                0x45 => jump(held & one.k != 0),
                0x54 => {
                    held &= one.k;
                    0
                }
                other => panic!("an instruction that no filter here has: {other:#x}"),
            };
        }
    }

    #[test]
    fn stretches_begin_where_the_answer_changes() {
        let all = intervals(&[0, 1, 2, 5, 9, 10].into());
        let told = [
            (0, true),
            (3, false),
            (5, true),
            (6, false),
            (9, true),
            (11, false),
        ];
        assert_eq!(all, told);
        assert_eq!(intervals(&[3].into()), [(0, false), (3, true), (4, false)]);
    }
}
