//go:build !unix

package cli

func wasClosed(any) bool { return false }
