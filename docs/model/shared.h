/* What the models share: the size of a search, when a saga is due, the replies to a call, and who knows the row.
 *
 * Each guard is a macro: 1 is on. `spin -DINTENT=0 -a saga.pml` takes one guard out. The comment of a guard says what
 * breaks without it; docs/model/README.md names the function that holds it.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef ACTIONS
#define ACTIONS 0 /* how many actions the operator may take */
#endif
#ifndef FAULTS
#define FAULTS -1 /* how many leases may end while their process lives; -1: no limit */
#endif
byte actions = ACTIONS;
short faults = FAULTS;
inline fault() {
    faults = (faults > 0 -> faults - 1 : faults)
}

/* When a saga is due: not at all, when a lease or a wait ends, or now. */
mtype = { NEVER, LATER, NOW }
/* What the participant keeps of a step. */
mtype = { UNKNOWN, MADE, UNDONE }
mtype = { NOTHING, YES, NO, LOST, ASKED, UNSENT }

/* `epoch` and `version` of a row grow without a limit, so a model keeps for each process whether it knows the present
 * ones: a claim and a commit make every other process a stranger. Each model defines `fence(who)`. */
inline fence_others() {
    fence(0);
#if PROCESSES > 1
    fence(1);
#endif
#if PROCESSES > 2
    fence(2);
#endif
    skip
}

/* A process that lives holds the saga. */
#if PROCESSES == 1
#define alive (knows[0])
#elif PROCESSES == 2
#define alive (knows[0] || knows[1])
#else
#define alive (knows[0] || knows[1] || knows[2])
#endif

inline run_engines() {
    run Engine(0);
#if PROCESSES > 1
    run Engine(1);
#endif
#if PROCESSES > 2
    run Engine(2);
#endif
    skip
}
