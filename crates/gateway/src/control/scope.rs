//! What a connection may do: the operator scopes of the protocol as one small set.

use std::fmt;

/// One scope.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Scope {
    Read,
    Write,
    Admin,
    Approvals,
    Questions,
    Pairing,
}

impl Scope {
    pub(crate) const ALL: [Self; 6] = [
        Self::Read,
        Self::Write,
        Self::Admin,
        Self::Approvals,
        Self::Questions,
        Self::Pairing,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "operator.read",
            Self::Write => "operator.write",
            Self::Admin => "operator.admin",
            Self::Approvals => "operator.approvals",
            Self::Questions => "operator.questions",
            Self::Pairing => "operator.pairing",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of scopes. What it holds is what was granted; [`Scopes::may`] knows what follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scopes(u8);

impl Scopes {
    /// What a shared secret without a device is good for, whatever its bearer says of itself.
    pub(crate) const TOKEN_HOLDER: Self = Self::of(&[Scope::Read, Scope::Write]);
    /// What the owner may do who is signed in at the gateway's own page.
    pub(crate) const OWNER: Self = Self::of(&Scope::ALL);

    pub(crate) const fn of(scopes: &[Scope]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < scopes.len() {
            bits |= 1 << (scopes[at] as u8);
            at += 1;
        }
        Self(bits)
    }

    /// Reads names; the ones that are not known here grant nothing.
    pub(crate) fn read<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let known = Scope::ALL.into_iter();
        let held: Vec<Scope> = known.filter(|one| names.contains(&one.as_str())).collect();
        Self::of(&held)
    }

    /// True if the set allows what needs `scope`: writing includes reading, and an administrator may
    /// do everything.
    pub(crate) fn may(self, scope: Scope) -> bool {
        let held = |scope: Scope| self.0 & scope.bit() != 0;
        held(Scope::Admin) || held(scope) || (scope == Scope::Read && held(Scope::Write))
    }

    /// True if everything that `other` allows is allowed here, too.
    pub(crate) fn covers(self, other: Self) -> bool {
        Scope::ALL
            .into_iter()
            .all(|scope| !other.may(scope) || self.may(scope))
    }

    /// What both allow.
    pub(crate) fn meet(self, other: Self) -> Self {
        let both = |scope: &Scope| self.may(*scope) && other.may(*scope);
        let held: Vec<Scope> = Scope::ALL.into_iter().filter(both).collect();
        Self::of(&held)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn names(self) -> Vec<&'static str> {
        let held = Scope::ALL
            .into_iter()
            .filter(|scope| self.0 & scope.bit() != 0);
        held.map(Scope::as_str).collect()
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> impl Iterator<Item = Scopes> {
        (0..64).map(Scopes)
    }

    #[test]
    fn nothing_that_is_made_of_two_sets_allows_more_than_either() {
        for one in every() {
            assert!(one.covers(one) && Scopes::OWNER.covers(one), "{one:?}");
            for other in every() {
                let met = one.meet(other);
                assert!(one.covers(met) && other.covers(met), "{one:?} {other:?}");
                let both = |scope: &Scope| one.may(*scope) && other.may(*scope);
                assert!(Scope::ALL.iter().filter(|s| both(s)).all(|s| met.may(*s)));
            }
        }
    }

    #[test]
    fn names_come_back_and_unknown_ones_grant_nothing() {
        for one in every() {
            assert_eq!(Scopes::read(one.names()), one);
        }
        assert!(Scopes::read(["operator", "operator.ADMIN", ""]).is_empty());
        assert!(!Scopes::TOKEN_HOLDER.may(Scope::Pairing));
    }
}
