package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// loadTau reads runs.json: a list of runs, each a conversation.
func loadTau(dir string) ([]trace, error) {
	path := filepath.Join(dir, "runs.json")
	data, err := os.ReadFile(path) //nolint:gosec // the user has named the folder
	if err != nil {
		return nil, err
	}
	var runs []struct {
		Task   int     `json:"task_id"`
		Trial  int     `json:"trial"`
		Reward float64 `json:"reward"`
		Traj   []struct {
			Role      string `json:"role"`
			Content   string `json:"content"`
			Name      string `json:"name"`
			ID        string `json:"tool_call_id"`
			ToolCalls []struct {
				ID       string `json:"id"`
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		} `json:"traj"`
	}
	if err := json.Unmarshal(data, &runs); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var traces []trace
	for _, r := range runs {
		t := trace{name: fmt.Sprintf("task %d, trial %d", r.Task, r.Trial), sort: bad, first: -1}
		if r.Reward == 1 {
			t.sort = good
		}
		asked := map[string]detect.Step{}
		for _, m := range r.Traj {
			switch m.Role {
			case "user":
				t.events = append(t.events, event{user: true, unit: t.units})
			case "assistant":
				for _, c := range m.ToolCalls {
					asked[c.ID] = detect.Step{Tool: c.Function.Name, Args: c.Function.Arguments}
				}
				if len(m.ToolCalls) == 0 {
					t.events = append(t.events, event{step: &detect.Step{Output: m.Content}, unit: t.units})
				}
			case "tool":
				s := asked[m.ID]
				if s.Tool == "" {
					s.Tool = m.Name
				}
				s.Output = m.Content
				s.Failed = strings.HasPrefix(m.Content, "Error")
				t.events = append(t.events, event{step: &s, unit: t.units})
				t.units++
			}
		}
		traces = append(traces, t)
	}
	return traces, nil
}
