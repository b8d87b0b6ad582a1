// Package expiry takes records out of a trail when their time is over, and erases single
// texts, each on record.
//
// Expiry has three steps. [MakePlan] counts. [Archive] writes the records, their proofs and a
// manifest into a directory. [Apply] checks that archive, and takes its records out of the
// table in batches: each batch and the event that says so are one transaction, made by a
// function of the database. The hashes of the records stay in the log, so that [CheckArchive]
// proves every record of the archive without the database.
//
// [Erase] replaces one text of a record by its digest. [PlaceHold] stops both.
//
// Only a role that migrate grants --expirer, --eraser or --holder names may call the
// functions. docs/expiry.md is the page for operators.
package expiry
