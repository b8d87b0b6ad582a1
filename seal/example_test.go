package seal_test

import (
	"fmt"
	"os"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
)

// An auditor verifies a bundle with the log's public key alone.
func Example_verify() {
	text, err := os.ReadFile("testdata/record.tlog-proof")
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := seal.LoadVerifier("testdata/log.pub")
	if err != nil {
		fmt.Println(err)
		return
	}
	proof, err := seal.ParseProof(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	checkpoint, err := proof.Verify("audit.example.com/plant-7", verifier)
	if err != nil {
		fmt.Println(err)
		return
	}
	record, err := proof.Row.Record()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(record.EnvelopeID, record.Decision, audit.FormatTime(record.DecisionTimestamp))
	fmt.Printf("is leaf %d of %d in %s\n", proof.Index, checkpoint.Size, checkpoint.Origin)

	proof.Row.Values[2] = []byte("envelope-0000099999")
	_, err = proof.Verify("audit.example.com/plant-7", verifier)
	fmt.Println(err)
	// Output:
	// envelope-0000012345 REJECTED 2025-11-21T00:26:40.123456Z
	// is leaf 700 of 1000 in audit.example.com/plant-7
	// verifying a proof bundle: the row or the proof was altered: checking leaf 700 of 1000: proof does not hold
}
