if [ -d /run/systemd/system ]; then
    known=$(systemctl show --property=DropInPaths kubelet.service 2>/dev/null || true)
    systemctl daemon-reload || true
    # A kubelet that was started without the drop-in is started anew with it. In an upgrade of kubeadm it has one, and
    # is left alone: nothing that it runs depends on kubeadm.
    case "$known" in
        */10-kubeadm.conf*) ;;
        *) systemctl try-restart kubelet.service || true ;;
    esac
fi
