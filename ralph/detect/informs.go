package detect

import (
	"strings"
)

// The exit status 1 of some programs is an answer, and no error: grep has found nothing,
// diff has found a difference, a test has failed.

// answers reports whether a step with an exit status has told something in that way.
// Tests that fail are still failures, but not those of the agent's steps: see runsTests.
func answers(s *Step) bool {
	if s.Exit != 1 || s.Kind != ErrorKindOther || s.Tool == "" {
		return false
	}
	switch program(s) {
	case "grep", "egrep", "fgrep", "zgrep", "rg", "ag", "ack", "diff", "cmp", "pgrep", "test", "[", "which", "command", "git-grep", "git-diff", "find", "fd":
		return true
	}
	return false
}

// runsTests reports whether a step has run tests of which some failed.
func runsTests(s *Step) bool {
	if s.Exit == 0 || s.Exit > 2 || s.Tool == "" {
		return false
	}
	switch p := program(s); p {
	case "pytest", "go-test", "go-vet", "npm-test", "yarn-test", "pnpm-test", "cargo-test", "cargo-check", "jest", "vitest", "mocha", "rspec", "phpunit", "tox", "nox",
		"ctest", "make-test", "make-check", "mvn-test", "gradle-test", "mypy", "ruff", "eslint", "flake8", "tsc", "unittest":
		return true
	default:
		return strings.Contains(p, "test")
	}
}

// program is the name of the program that a call has run last, with the word after it for
// those that do several things. It is the tool where the arguments have no command.
func program(s *Step) string {
	const most = 1024
	args := textOf(s.Args, s.ArgsBytes)
	args = args[:min(len(args), most)]
	if i := strings.LastIndexAny(strings.TrimRight(args, "\"}]) \n"), ";|&\n"); i >= 0 {
		args = args[i+1:]
	}
	args = strings.TrimLeft(args, " ")
	if _, value, ok := strings.Cut(args, `":`); ok && strings.HasPrefix(args, "{") { // {"command": "grep …"}
		args = value
	}
	words := strings.Fields(strings.Trim(args, "{}[]\"' "))
	for len(words) > 0 && (strings.Contains(words[0], "=") || words[0] == "sudo" || words[0] == "timeout" || words[0] == "time" || words[0] == "!") {
		words = words[1:]
	}
	name := s.Tool
	switch {
	case strings.Contains(s.Tool, "test"):
		return "tests"
	case known(s.Tool), len(words) == 0:
		return name
	default:
		name = words[0][strings.LastIndexByte(words[0], '/')+1:]
	}
	return subcommand(name, words)
}

// subcommand is the name of a program that does several things with what it does now.
func subcommand(name string, words []string) string {
	switch name {
	case "python", "python3", "uv", "npx", "poetry", "bundle":
		for _, w := range words[1:] {
			if w == "pytest" || w == "unittest" || w == "jest" || w == "vitest" || w == "rspec" || w == "mypy" {
				return w
			}
		}
	case "git", "go", "npm", "yarn", "pnpm", "cargo", "make", "mvn", "gradle":
		if len(words) > 1 {
			return name + "-" + strings.Trim(words[1], `"'}`)
		}
	}
	return name
}

// known reports whether a tool is one of the programs itself.
func known(tool string) bool {
	switch tool {
	case "grep", "rg", "diff", "find":
		return true
	}
	return false
}
