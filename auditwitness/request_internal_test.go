package auditwitness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/seal"
)

// A request that is read is written again with the same bytes: there is one spelling.
func FuzzParseRequest(f *testing.F) {
	hash := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for _, body := range []string{
		"old 0\n\nlog\n1\n" + hash + "\n\n— log AAAA\n", "old 1\n" + hash + "\n\nx", "old 1\n" + hash + "\n" + hash + "\n\nx\n\ny\n",
		"old 01\n\nx", "old 1\n\n", "old\n\nx", "", "\n\n", "old 1152921504606846977\n\nx", "old 5\n" + strings.Repeat(hash+"\n", 64) + "\nx",
		"old 1\n" + strings.Replace(hash, "c=", "d=", 1) + "\n\nx", "old 1\r\n\nx",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		if !bytes.Equal(r.body(), body) {
			t.Errorf("%q is written as %q", body, r.body())
		}
		if r.old < 0 || r.old > seal.MaxSize || len(r.proof) > maxProof || len(r.signed) == 0 {
			t.Errorf("%+v is out of bounds", r)
		}
		if text, checkpoint, err := textOf(r.signed); err == nil && !strings.HasPrefix(text, checkpoint.Origin+"\n") {
			t.Errorf("%q has the origin %q", text, checkpoint.Origin)
		}
	})
}
