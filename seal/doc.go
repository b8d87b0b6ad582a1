// Package seal holds the formats and the arithmetic of the sealed trail, and the offline
// verifier. It needs no database.
//
// A row of the trail has one canonical form, its leaf ([Row.AppendLeaf]). The leaves are
// the entries of an append-only Merkle log as in RFC 6962 ([Tree]), which is stored in
// tiles of 256 hashes. A signed [Checkpoint] commits to the size and the root of the log.
// A [Proof] is a text of about 1 KB that proves to anyone who has the log's public key
// that a row is in the log, unchanged:
//
//	proof, err := seal.ParseProof(text)
//	checkpoint, err := proof.Verify("audit.example.com", verifier)
//	record, err := proof.Row.Record()
//
// docs/seal-format.md specifies the formats for other languages. The checkpoints and the
// proofs are those of C2SP: c2sp.org/tlog-checkpoint and c2sp.org/tlog-proof.
package seal
