module github.com/blackbox4/switchgear

go 1.26
