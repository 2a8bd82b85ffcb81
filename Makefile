# One-liners over the launcher (python3 -m launcher COMMAND), which sets up what is missing.
PYTHON ?= python3

.PHONY: up demo check test test-long backup restore doctor

# `make test-long NAME`: the second word is the test's name, not a target.
ifeq (test-long,$(firstword $(MAKECMDGOALS)))
ifneq (,$(word 2,$(MAKECMDGOALS)))
NAME := $(word 2,$(MAKECMDGOALS))
.PHONY: $(NAME)
$(NAME): ; @:
endif
endif

up:        ; $(PYTHON) -m launcher up
demo:      ; $(PYTHON) -m launcher demo
check:     ; $(PYTHON) -m launcher check
test:      ; $(PYTHON) -m launcher test
test-long: ; $(PYTHON) -m launcher test-long $(NAME)
backup:    ; $(PYTHON) -m launcher backup
restore:   ; $(PYTHON) -m launcher restore "$(FILE)"
doctor:    ; $(PYTHON) -m launcher doctor
