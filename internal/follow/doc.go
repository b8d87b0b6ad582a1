// Package follow is the machine behind following: the state that a cursor holds, and one look
// at the trail after another. It neither retries nor logs; the store does.
//
// # The state
//
// The place is the last row that was passed, whether it was delivered or did not match the
// query. Nothing rests on seqs above it, because a crash of the server may give a seq again
// that no committed row has. A seq below the place that had no row yet is a hole while a
// transaction is open that may still commit it. The open transactions are remembered in at
// most two sets, each with the fence up to which they may hold seqs: see package fence.
//
// # One look
//
// All of it happens on one connection, because another one may lead to another server. First
// the facts: is the trail still the one that was read, and is there anything to read? A row
// that is still there proves that the sequence had passed its seq when the trail was cut, so
// no seq up to it is given again. So the cursor remembers some of the rows that were passed,
// its anchors, as hashes of their ids.
//
// Then the fence: the sequence's value, the open transactions, and a wait for those that are
// not in a set yet. Then, in one snapshot that is younger than the list of open transactions,
// the holes that have a row by now, and the new rows up to the fence. Without open
// transactions everything up to the fence is final, and one statement is enough.
//
// On a standby the locks and the sequence are not the primary's. There the last checkpoint of
// the seal says how far the rows are final, and which seqs below it are awaited.
package follow
