package cli

import (
	"testing"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"open postgres://me:s3cret@host/db: no such file": "open postgres://me:xxxxx@host/db: no such file",
		"postgres://me:s3@cr:et@host/db":                  "postgres://me:xxxxx@host/db",
		"postgres://me@host/db":                           "postgres://me@host/db",
		"host=x password=s3cret dbname=y":                 "host=x password=xxxxx dbname=y",
		`host=x Password = 's3 \'cret' dbname=y`:          "host=x Password = xxxxx dbname=y",
		"password authentication failed for user":         "password authentication failed for user",
	} {
		if got := redact(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
