// Package cli is the frame that both programs share: the command line, help, --version,
// exit codes, DATABASE_URL, the masking of passwords, errors, JSON, completions, signals,
// and standard streams that are closed. The programs are packages below it.
package cli
