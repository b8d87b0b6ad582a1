package jsonl

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	for text, want := range map[string]Kind{
		"": Empty, "old\n": Unknown, `{"count":1}`: Manifest, "<!DOCTYPE html>\n": Report,
		`{"line":1,"reason":"x","input":"{\"audit_id\":1,\"envelope_id\":2}"}`: Refused,
		`{"audit_id":"1","envelope_id":"e"}` + "\n":                            Records,
		`{"envelope_id": "e", "audit_id": "1"}`:                                Records,
		"audit_id,envelope_id,envelope_class\r\n":                              Table,
		`{"specversion":"1.0","data":{"audit_id":"1","envelope_id":"e"}}`:      Events,
		"{}\n{\"audit_id\":1,\"envelope_id\":2}\n":                             Unknown,
	} {
		path := filepath.Join(directory, "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := KindOf(path); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
