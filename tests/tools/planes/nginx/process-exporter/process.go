// Package common stands in for a module that registries do not have: the controller measures its
// own processes with it. Nothing is measured here.
package common

// ProcAttributes is what a process is recognised by.
type ProcAttributes struct{ Cmdline []string }

// MatchNamer recognises processes.
type MatchNamer interface {
	MatchAndName(ProcAttributes) (bool, string)
}
