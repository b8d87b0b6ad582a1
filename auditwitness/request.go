package auditwitness

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/hoc-analytics/coordaudit/seal"
)

const (
	addCheckpoint = "add-checkpoint"
	sizeType      = "text/x.tlog.size"
	maxProof      = 63
	maxRequest    = 72 << 10 // the largest checkpoint, 64 KiB, with the longest proof
)

// request is the body of add-checkpoint.
type request struct {
	old    int64
	proof  []seal.Hash // from old to the size of the checkpoint
	signed []byte
}

// body returns what parseRequest reads.
func (r request) body() []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", r.old)
	for _, hash := range r.proof {
		body.WriteString(hash.String() + "\n")
	}
	body.WriteByte('\n')
	body.Write(r.signed)
	return body.Bytes()
}

// parseRequest takes one spelling of each request. It does not look into the checkpoint.
func parseRequest(body []byte) (request, error) {
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	if !found || len(signed) == 0 {
		return request{}, malformed("it has no checkpoint after an empty line")
	}
	lines := strings.Split(string(head), "\n")
	digits, found := strings.CutPrefix(lines[0], "old ")
	old, ok := parseSize(digits)
	if !found || !ok {
		return request{}, malformed(`its first line is not "old" and a size`)
	}
	if len(lines)-1 > maxProof {
		return request{}, malformed(fmt.Sprintf("its proof has more than %d hashes", maxProof))
	}
	r := request{old: old, signed: signed}
	for _, line := range lines[1:] {
		data, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(data) != len(seal.Hash{}) || seal.Hash(data).String() != line {
			return request{}, malformed("a line of its proof is not a hash")
		}
		r.proof = append(r.proof, seal.Hash(data))
	}
	return r, nil
}

// parseSize takes the one decimal spelling of a size.
func parseSize(digits string) (int64, bool) {
	size, err := strconv.ParseInt(digits, 10, 64)
	return size, err == nil && size >= 0 && size <= seal.MaxSize && strconv.FormatInt(size, 10) == digits
}

func malformed(cause string) error {
	return fmt.Errorf("reading a request of add-checkpoint: %s: %w", cause, ErrMalformed)
}

// textOf returns the note text of a signed checkpoint, and what it says. It checks no
// signature.
func textOf(signed []byte) (text string, checkpoint seal.Checkpoint, err error) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return "", checkpoint, fmt.Errorf("reading the checkpoint: it is not a signed note: %w", ErrMalformed)
	}
	text = string(signed[:i+1])
	if checkpoint, err = seal.ParseCheckpointText(text); err != nil {
		return "", checkpoint, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return text, checkpoint, nil
}
