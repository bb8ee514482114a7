"""The benchmark suites: `nhip bench [SUITE]...`; each module is one and writes build/bench/<suite>.json."""
