// Package format turns numbers, times, texts and faults into text for people, and keeps
// such text from acting on the terminal that shows it.
package format
