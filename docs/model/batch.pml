/* Group commit: the commits of several sagas by one statement.
 *
 * Two processes hold sagas, and each writes the commits of its sagas by one statement. Another process may claim a saga
 * at any moment, so that its row in the batch is fenced. The database may refuse one row, so that the whole statement
 * fails; the commit of a batch may give no result, whether it was written or not. A process with several statements on
 * their way is here like several processes, because no two of its threads hold the same saga.
 */
#include "shared.h"
/* search two processes, batches of two and of one: -DPROCESSES=2 */
/* live two processes, batches of two and of one, and a lease that ends early: -DFAULTS=1 */
#define SAGAS 2
#define MOVES 2 /* commits of a saga until it has ended */

#ifndef ROWS_ARE_GUARDED /* breaks ONE_OWNER: the statement compares epoch and version of each of its rows */
#define ROWS_ARE_GUARDED 1
#endif
#ifndef FENCED_ALONE /* breaks NOT_LOST: a fenced row does not keep the other rows of the batch from being written */
#define FENCED_ALONE 1
#endif
#ifndef ROWS_ARE_RETURNED /* breaks DURABLE: the statement returns the rows that it has written, and only these sagas go on */
#define ROWS_ARE_RETURNED 1
#endif
#ifndef WAITS_FOR_WRITE /* breaks DURABLE: each saga waits until the batch with its own row is durable */
#define WAITS_FOR_WRITE 1
#endif
#ifndef ROW_BY_ROW /* breaks NOT_LOST: a batch that fails as a whole is written again row by row */
#define ROW_BY_ROW 1
#endif
#ifndef UNKNOWN_IS_FORGOTTEN /* breaks DURABLE: when the result of a batch is unknown, all its sagas are forgotten */
#define UNKNOWN_IS_FORGOTTEN 1
#endif
#ifndef SKIPS_LOCKED /* breaks deadlock: a batch does not wait for a locked row; the row is written by a later statement */
#define SKIPS_LOCKED 1
#endif
#ifndef LEASE_ENDS /* breaks ends: a saga that was forgotten is due again when its lease ends */
#define LEASE_ENDS 1
#endif

/* The row of each saga: how many commits it has, when it is due, and the process that has locked it (0: none). */
typedef Row {
    byte version;
    mtype due = NOW;
    byte locked
}
Row row[SAGAS];
/* The value of a saga's row is one that the database refuses. */
bool refused[SAGAS];

/* What a process has in memory of a saga. `knows`: its epoch and version are those of the row. */
typedef Copy {
    bool knows, waits, sent, held;
    byte version
}
typedef Copies {
    Copy copy[SAGAS]
}
Copies process[PROCESSES];
#define my process[me].copy

bool overwritten, lost, early;
#define ONE_OWNER (!overwritten)
#define NOT_LOST (!lost)
#define DURABLE (!early)
inline safe() {
    assert(ONE_OWNER);
    assert(NOT_LOST);
    assert(DURABLE)
}

/* Every saga ends, except one whose row the database refuses. */
ltl ends { [] <> ((row[0].version == MOVES || refused[0]) && (row[1].version == MOVES || refused[1])) }

/* The result of a commit that was written, or was taken for written: the saga goes on to its next call. */
inline go_on(i) {
    my[i].version++;
    early = (early || my[i].version > row[i].version);
    my[i].sent = false;
    if
    :: my[i].version == MOVES -> my[i].held = false; my[i].knows = false; my[i].waits = false; my[i].version = 0
    :: else -> my[i].waits = true
    fi
}

inline forget(i) {
    my[i].held = false; my[i].knows = false; my[i].waits = false; my[i].sent = false; my[i].version = 0
}

inline write(i) {
    overwritten = (overwritten || !my[i].knows);
    row[i].version = my[i].version + 1;
    row[i].due = (row[i].version == MOVES -> NEVER : (LEASE_ENDS -> LATER : NEVER))
}

/* The row of one saga in a statement that has not failed. */
inline write_guarded(i) {
    if
    :: my[i].sent && (my[i].knows || !ROWS_ARE_GUARDED) -> write(i); go_on(i)
    :: my[i].sent && !my[i].knows && ROWS_ARE_GUARDED && ROWS_ARE_RETURNED -> forget(i)
    :: my[i].sent && !my[i].knows && ROWS_ARE_GUARDED && !ROWS_ARE_RETURNED -> go_on(i)
    :: !my[i].sent && my[i].waits && !WAITS_FOR_WRITE -> go_on(i)
    :: else -> skip
    fi
}

/* A row that is written alone, after its batch has failed. The database refuses the value again, until the saga is stuck. */
inline write_alone(i) {
    if
    :: my[i].sent && refused[i] -> row[i].due = (my[i].knows -> NEVER : row[i].due); forget(i)
    :: else -> write_guarded(i)
    fi
}

/* The whole batch fails: without a second try each of its sagas gets the error. */
inline fail(i) {
    lost = (lost || (my[i].sent && my[i].knows && !refused[i]));
    if
    :: my[i].sent -> forget(i)
    :: else -> skip
    fi
}

/* No result: the batch was written, or not. */
inline unknown(i) {
    if
    :: my[i].sent && UNKNOWN_IS_FORGOTTEN -> forget(i)
    :: my[i].sent && !UNKNOWN_IS_FORGOTTEN -> go_on(i)
    :: else -> skip
    fi
}

inline skip_locked(i) {
    my[i].sent = false; my[i].waits = true
}

inline claim(i) {
    row[i].due = (LEASE_ENDS -> LATER : NEVER);
    process[0].copy[i].knows = false; process[1].copy[i].knows = false;
    my[i].knows = true; my[i].held = true; my[i].waits = true; my[i].version = row[i].version
}

#define FREE(i) (row[i].locked == 0)
#define FENCED (!FENCED_ALONE && ((my[0].sent && !my[0].knows) || (my[1].sent && !my[1].knows)))
#define REFUSED ((my[0].sent && refused[0]) || (my[1].sent && refused[1]))

proctype Engine(byte me) {
    byte first = 0;
end_idle:
    if
    :: atomic { row[0].due == NOW && FREE(0) && !my[0].held -> claim(0) }; goto end_idle
    :: atomic { row[1].due == NOW && FREE(1) && !my[1].held -> claim(1) }; goto end_idle
    :: atomic { my[0].waits || my[1].waits -> /* the statement is sent with what waits now */
        my[0].sent = my[0].waits; my[1].sent = my[1].waits;
        my[0].waits = false; my[1].waits = false;
        first = me % 2 }
    fi;

    if /* the statement locks one row after the other, and two processes do so in opposite orders */
    :: atomic { my[first].sent && FREE(first) -> row[first].locked = me + 1 }
    :: atomic { my[first].sent && !FREE(first) && SKIPS_LOCKED -> skip_locked(first) }
    :: atomic { !my[first].sent -> skip }
    fi;
    if /* a saga that is claimed while a batch is on its way waits for the next one */
    :: atomic { row[0].due == NOW && FREE(0) && !my[0].held -> claim(0) }
    :: atomic { row[1].due == NOW && FREE(1) && !my[1].held -> claim(1) }
    :: skip
    fi;
    if
    :: atomic { my[1 - first].sent && FREE(1 - first) -> row[1 - first].locked = me + 1 }
    :: atomic { my[1 - first].sent && !FREE(1 - first) && SKIPS_LOCKED -> skip_locked(1 - first) }
    :: atomic { !my[1 - first].sent -> skip }
    fi;

    atomic {
        if
        :: REFUSED && ROW_BY_ROW -> write_alone(0); write_alone(1)
        :: (REFUSED && !ROW_BY_ROW) || FENCED -> fail(0); fail(1)
        :: !REFUSED && !FENCED -> write_guarded(0); write_guarded(1)
        :: !REFUSED && !FENCED && faults != 0 -> /* written, and the result is lost */
            fault();
            if :: my[0].sent && my[0].knows -> write(0) :: else -> skip fi;
            if :: my[1].sent && my[1].knows -> write(1) :: else -> skip fi;
            unknown(0); unknown(1)
        :: faults != 0 -> fault(); unknown(0); unknown(1) /* not written */
        fi;
        row[0].locked = (row[0].locked == me + 1 -> 0 : row[0].locked);
        row[1].locked = (row[1].locked == me + 1 -> 0 : row[1].locked);
        safe();
        goto end_idle }
}

/* The database's clock. A lease whose process still holds the saga ends early only as a fault. */
proctype Clock(byte i) {
end:
    do
    :: atomic { row[i].due == LATER && !(process[0].copy[i].knows || process[1].copy[i].knows) -> row[i].due = NOW }
    :: atomic { row[i].due == LATER && (process[0].copy[i].knows || process[1].copy[i].knows) && faults != 0 ->
        fault(); row[i].due = NOW }
    od
}

init {
    atomic {
        if :: refused[0] = true :: skip fi;
        run_engines();
        run Clock(0);
        run Clock(1)
    }
}
