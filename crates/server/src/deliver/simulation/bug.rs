//! Faults that are planted to show that the invariants can be violated, and that a violation is seen.

/// One deliberate fault of the scheduler, the store or the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// None: everything is as it is.
    None,
    /// The store loses the due time of some retries.
    StoreForgetsRetries,
    /// Some attempts end without the scheduler being told, as after a panic.
    AttemptsVanish,
    /// The transport carries out some attempts twice.
    TransportRepeats,
    /// An answer that comes again is taken for one more.
    AnswersCountTwice,
    /// The store hands out deliveries that are over.
    StoreClaimsWhatIsOver,
    /// The store hands out the youngest event of a lead first.
    StoreClaimsOutOfOrder,
    /// The scheduler cannot tell leads apart.
    SchedulerBlindToLeads,
    /// The store hands out what is due in half a minute.
    StoreClaimsEarly,
    /// The transport renders the body anew for each attempt.
    BodyRenderedAnew,
    /// A late record overwrites a final state.
    StoreOverwritesFinalStates,
    /// The store takes any answer for a success.
    StoreTakesFailuresForSuccess,
    /// Slots are given back as soon as they are taken.
    SlotsFreedEarly,
    /// The scheduler knows nothing of a destination's own rate.
    PaceUnknown,
}
