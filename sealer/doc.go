// Package sealer seals the trail: it appends every row to an RFC 6962 Merkle log, signs the
// log's root, and exports the signed checkpoint to a place that the database cannot reach.
// Whoever holds a checkpoint and the public key can find an edit, a deletion, a late
// insertion, a cut tail or a restored backup afterwards, without trusting the database.
//
// A Sealer works next to the writers. It takes no lock that they wait for, and a service
// that does not import this package compiles none of it. One sealer at a time seals a trail;
// a second one waits and takes over.
//
// Not promised: what is not sealed yet is not protected. A writer that lies is sealed with
// its lie. Who holds the key and the exported checkpoints can write another history.
package sealer
