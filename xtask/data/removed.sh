# The kubelet and what kubeadm made stay: "kubeadm reset" removes a node, a package does not.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
