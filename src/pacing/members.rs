//! How many of the account's calls at once are each consumer's, when there are several.
//!
//! In: who has how many until when, and what one has under way. Out: its share. Always: pure; the shares
//! of all never add up to more than there are, whoever comes, goes or dies: what one is to give up it has
//! until its calls are over, and another gets it only then.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::Nanos;

/// How long a share is one's own from each time that it is looked after. A consumer that died takes its
/// share with it for so long; its calls, whose connections went with it, are over by then.
const LASTS: Nanos = 5_000_000_000;

/// One consumer's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub places: u32,
    /// Nanoseconds since 1970 on the store's clock: then it is anybody's.
    pub until: Nanos,
}

/// What a consumer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacesShare {
    /// How many calls it may have under way.
    pub places: u32,
    /// How many consumers there are.
    pub consumers: u32,
}

/// Gives `holder`, which has `taken` calls under way, its share of `all` places at `now`.
pub fn share_places(
    members: &mut BTreeMap<String, Member>,
    holder: &str,
    all: NonZeroU32,
    taken: u32,
    now: Nanos,
) -> PlacesShare {
    members.retain(|name, member| name == holder || member.until > now);
    members.entry(holder.to_owned()).or_insert(Member {
        places: 0,
        until: now,
    });
    let consumers = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let place = members.keys().take_while(|name| *name != holder).count();
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    let fair = all.get() / consumers + u32::from(place < all.get() % consumers);
    let others = members.iter().filter(|(name, _)| *name != holder);
    let theirs = others.fold(0_u32, |sum, (_, member)| sum.saturating_add(member.places));
    let places = fair.min(all.get().saturating_sub(theirs));
    let member = Member {
        // What is under way is not given up before it is over.
        places: places.max(taken),
        until: now.saturating_add(LASTS),
    };
    members.insert(holder.to_owned(), member);
    PlacesShare { places, consumers }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn all(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not zero")
    }

    #[test]
    fn one_alone_has_all_and_who_comes_waits_until_calls_are_over() {
        let mut members = BTreeMap::new();
        assert_eq!(share_places(&mut members, "a", all(40), 0, 1).places, 40);
        let share_of =
            |members: &mut _, who, taken, now| share_places(members, who, all(40), taken, now);
        // a has 35 under way when b comes: there is nothing for b before a has looked again.
        assert_eq!(share_of(&mut members, "b", 0, 2).places, 0);
        assert_eq!(share_of(&mut members, "a", 35, 3).places, 20);
        assert_eq!(share_of(&mut members, "b", 0, 4).places, 5);
        assert_eq!(share_of(&mut members, "a", 12, 5).places, 20);
        let b = share_of(&mut members, "b", 5, 6);
        assert_eq!((b.places, b.consumers), (20, 2));
    }

    #[test]
    fn who_died_is_forgotten_after_a_while_and_odd_places_go_to_the_first() {
        let mut members = BTreeMap::new();
        for round in 0..2 {
            for who in ["a", "b", "c"] {
                let _ = share_places(&mut members, who, all(40), 0, round);
            }
        }
        let places: Vec<u32> = members.values().map(|member| member.places).collect();
        assert_eq!(places, [14, 13, 13]);
        let later = 6 * SECOND;
        assert_eq!(
            share_places(&mut members, "b", all(40), 13, later).places,
            40
        );
    }

    #[test]
    fn never_more_than_there_are_whoever_comes_and_goes() {
        let mut members = BTreeMap::new();
        let mut seed = 7_u64;
        let mut now = 0;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            now += (seed >> 40) % (SECOND / 2);
            let who = format!("c{}", (seed >> 33) % 6);
            let mine =
                members.get(&who).map_or(
                    0,
                    |member: &Member| {
                        if member.until > now { member.places } else { 0 }
                    },
                );
            let taken = u32::try_from((seed >> 20) % 41).expect("small").min(mine);
            let _ = share_places(&mut members, &who, all(40), taken, now);
            let live = members.values().filter(|member| member.until > now);
            assert!(live.map(|member| member.places).sum::<u32>() <= 40);
        }
    }
}
