// Package auditwitness lets independent witnesses cosign the checkpoints of a sealed trail,
// by c2sp.org/tlog-witness. A witness remembers the last checkpoint of each log. It cosigns
// the next one only if the log has grown and nothing in it was changed. So even an owner who
// holds the signing key and every exported copy cannot write another history, or cut the
// end off, without a witness noticing.
//
// [Exporter] asks witnesses before a checkpoint is exported, and adds their cosignatures to
// it:
//
//	export, err := auditwitness.Exporter(sealer.Directory(dir), auditwitness.Config{
//		Witnesses: []auditwitness.Witness{{URL: "https://witness.example/", Key: key}},
//		Proofs:    auditwitness.Database(pool, ""),
//	})
//	…
//	sealing, err := sealer.New(pool, sealer.Config{Signer: signer, Export: export})
//
// [Client] asks one witness once. [Server] is a witness, and the program in
// cmd/auditwitness serves it. [seal.OpenCosigned] verifies a cosigned checkpoint offline.
//
// # What an answer means
//
// A witness that is away, or that refuses for a reason of its own, costs nothing unless
// [Config.Quorum] requires it. A witness that has seen a larger log ([ErrAhead]) or another
// one ([ErrRewritten]) is an incident: the checkpoint is not exported, the sealer stops, and
// no one should ask again before a person has looked. Only cosignatures are signed, and
// other answers are not, so use https where others can reach the network.
package auditwitness
