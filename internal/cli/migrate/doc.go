// Package migrate is the program migrate: its flags and commands.
package migrate
