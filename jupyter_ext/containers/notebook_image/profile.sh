# A login shell forgets the image's PATH, CUDA's included; sshd was told it under this name.
if [ -n "${NOTEBOOK_PATH:-}" ]; then PATH=$NOTEBOOK_PATH; export PATH; fi
# It begins where JupyterLab does.
if [ -n "${NOTEBOOK_FOLDER:-}" ]; then cd "$NOTEBOOK_FOLDER" || true; fi
